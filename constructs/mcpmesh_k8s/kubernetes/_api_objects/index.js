"use strict";
// Creates many cdk8s ApiObjects in one call from Python: see ../_jsii.py for why.
const { ApiObject, Chart } = require("cdk8s");

class ApiObjects {
  static add(chart, manifests, annotations) {
    // Those of L2 classes stand deeper in the tree: `chart.apiObjects` has only its own children.
    const wanted = JSON.parse(annotations);
    const inside = chart.node.findAll().filter((each) => each instanceof ApiObject && Chart.of(each) === chart);
    const others = inside.map((object) => {
      const given = object.toJson().metadata.annotations ?? {};
      for (const [name, value] of Object.entries(wanted[object.kind] ?? wanted[""])) {
        if (!(name in given)) object.metadata.addAnnotation(name, value);
      }
      return object.toJson();
    });
    for (const [path, id, manifest] of JSON.parse(manifests)) {
      const component = path.split("/").reduce((scope, child) => scope.node.findChild(child), chart);
      new ApiObject(component, id, manifest);
    }
    return JSON.stringify(others);
  }
}
exports.ApiObjects = ApiObjects;
