// Imports one module once for each environment on standard input; a JSON list of what each run printed is the last line.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const log = console.log;
const told = [];
for (const [number, environment] of JSON.parse(readFileSync(0, "utf8")).entries()) {
  Object.assign(process.env, environment);
  const lines = [];
  console.log = (...words) => lines.push(format(...words) + "\n");
  try {
    await import(`${pathToFileURL(process.argv[2])}?${number}`);
  } catch (error) {
    lines.push(format(error));
  }
  console.log = log;
  told.push(lines.join(""));
}
log("\n" + JSON.stringify(told));
