// Makes src/gen from the repository's protos, with buf and protoc-gen-es of node_modules.
//
// Google's protos are those of the googleapis-common-protos wheel, which `make setup-dev` installs.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const PACKAGE = resolve(import.meta.dirname, "..");
const REPOSITORY = resolve(PACKAGE, "../..");
const GOOGLE_PROTOS = [
  "google/api/annotations.proto",
  "google/api/http.proto",
  "google/api/httpbody.proto",
  "google/rpc/error_details.proto",
];

function wheels() {
  const lib = join(REPOSITORY, ".venv/lib");
  const places = existsSync(lib) ? readdirSync(lib).map((python) => join(lib, python, "site-packages")) : [];
  const found = places.find((place) => GOOGLE_PROTOS.every((name) => existsSync(join(place, name))));
  if (found === undefined) {
    throw new Error("Google's protos are missing: run `make setup-dev` in the repository first");
  }
  return found;
}

// buf wants everything below one folder; a scratch one keeps it away from the repository's own buf.yaml.
const protos = mkdtempSync(join(tmpdir(), "bezant-protos-"));
try {
  const google = wheels();
  for (const name of GOOGLE_PROTOS) {
    mkdirSync(dirname(join(protos, name)), { recursive: true });
    cpSync(join(google, name), join(protos, name));
  }
  cpSync(join(REPOSITORY, "proto"), protos, { recursive: true });
  rmSync(join(PACKAGE, "src/gen"), { recursive: true, force: true });
  execFileSync("node_modules/.bin/buf", ["generate", protos], { cwd: PACKAGE, stdio: "inherit" });
} finally {
  rmSync(protos, { recursive: true, force: true });
}
