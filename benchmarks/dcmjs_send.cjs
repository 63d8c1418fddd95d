// Sends the files of a folder with dcmjs-dimse, over one association.
// NODE_PATH=node_modules node dcmjs_send.cjs HOST PORT AE_TITLE FOLDER

const fs = require("fs");
const path = require("path");
const { Client, constants, log, requests } = require("dcmjs-dimse");

const [host, port, aeTitle, folder] = process.argv.slice(2);
const client = new Client();
let missing = 0;
log.level = "error";

for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const request = new requests.CStoreRequest(path.join(entry.path, entry.name));
  missing += 1;
  request.on("response", (response) => {
    if (response.getStatus() === constants.Status.Success) missing -= 1;
  });
  client.addRequest(request);
}
client.on("networkError", (error) => console.error(error.message));
client.on("closed", () => {
  process.exitCode = missing ? 1 : 0;
});
client.send(host, Number(port), "DCMJS", aeTitle);
