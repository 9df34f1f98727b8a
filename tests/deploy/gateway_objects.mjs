// Validates objects of the Gateway API, as a JSON list from stdin, by the schemas of its definitions.
//
// Usage: gateway_objects.mjs DIRECTORY, with the node_modules directory of tests/deploy/package.json.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const model = join("@kubernetes-models/gateway-api", object.apiVersion, `${object.kind}.js`);
  const { [object.kind]: Model } = await import(pathToFileURL(join(process.argv[2], model)).href);
  new Model(object).validate();
}
