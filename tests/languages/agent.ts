// A stand-in for an agent of the mesh's TypeScript SDK: it reads what that reads, and says what it found.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { getHeapStatistics } from "node:v8";

interface About {
  arguments: string[];
  uid: number;
  heap: number;
  writable: string[];
  loads: boolean;
  workers: boolean;
}

const port: number = Number(process.env.MCP_MESH_HTTP_PORT ?? "8080");
const name: string = process.env.MCP_MESH_AGENT_NAME ?? "agent";
const id = `${name}-${Math.random().toString(16).slice(2).padEnd(8, "0").slice(0, 8)}`;

function writes(folder: string): boolean {
  const file = join(folder, "written");
  try {
    writeFileSync(file, "x");
    rmSync(file);
    return true;
  } catch {
    return false;
  }
}

// As the SDK does in each worker of tools, whose sources no loader reads by itself.
function workers(): boolean {
  const entry = resolve(process.argv[1]);
  try {
    return entry.endsWith(".js") || typeof createRequire(entry)("tsx/esm/api").register === "function";
  } catch {
    return false;
  }
}

function about(): About {
  const folders = ["/", "/app", "/app/logs", "/etc", "/usr/local", "/tmp", process.env.HOME ?? "/root"];
  return {
    arguments: process.argv.slice(2),
    uid: process.getuid!(),
    heap: getHeapStatistics().heap_size_limit,
    writable: [...new Set(folders.filter((folder) => existsSync(folder) && writes(folder)))],
    loads: writes(tmpdir()),
    workers: workers(),
  };
}

async function register(): Promise<void> {
  const body = { agent_id: id, name, agent_type: "mcp_agent", http_host: process.env.MCP_MESH_HTTP_HOST, http_port: port };
  const url = `${process.env.MCP_MESH_REGISTRY_URL ?? "http://localhost:8000"}/heartbeat`;
  try {
    await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    setTimeout(register, 200);
  }
}

const server = createServer((request, response) => {
  if (request.url === "/busy") {
    response.end("{}");
    // As code does that reads something large: nothing else is done meanwhile.
    setImmediate(() => {
      console.log("busy");
      const until = Date.now() + 1000;
      while (Date.now() < until);
    });
    return;
  }
  const known = ["/livez", "/ready", "/startupz", "/health", "/about"].includes(request.url ?? "");
  response.writeHead(known ? 200 : 404, { "Content-Type": "application/json" });
  response.end(request.url === "/about" ? JSON.stringify(about()) : "{}");
});
server.listen(port, process.env.HOST ?? "0.0.0.0", () => {
  console.log(`${id} listens on ${port}`);
  void register();
});
process.on("SIGTERM", () => {
  console.log("leaving");
  server.closeAllConnections();
  server.close(() => process.exit(0));
});
