// What Grafana's own grammars say against queries: a JSON list of {language, query} on stdin, a list of texts on
// stdout, one for each query, empty where there is nothing to say.
import { text } from "node:stream/consumers";
import * as logql from "@grafana/lezer-logql";
import * as traceql from "@grafana/lezer-traceql";

const parsers = { logql: logql.parser, traceql: traceql.parser };

function errorOf({ language, query }) {
  let error = "";
  parsers[language].parse(query).iterate({
    enter(node) {
      if (node.type.isError && !error) {
        error = `at ${node.from}, before ${JSON.stringify(query.slice(node.from, node.from + 20))}`;
      }
    },
  });
  return error;
}

process.stdout.write(JSON.stringify(JSON.parse(await text(process.stdin)).map(errorOf)));
