"use strict";
// Creates many cdk8s ApiObjects in one call from Python: see ../_jsii.py for why.
const { ApiObject, Chart } = require("cdk8s");

class ApiObjects {
  static add(chart, manifests, annotations) {
    const others = Chart.of(chart).apiObjects.map((object) => {
      const given = object.toJson().metadata.annotations ?? {};
      for (const [name, value] of Object.entries(JSON.parse(annotations))) {
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
