// Copies the changes in a session queue to a SQLite database: in order per session, each change once.
// Set ASB_CONNECTION_STRING (with the Listen claim), QUEUE, and DATABASE (a file).
import { DatabaseSync } from "node:sqlite";
import { ServiceBusClient } from "@azure/service-bus";

// Another session gets its turn after this long without a message, or after this long in any case.
const IDLE_MS = 1_000;
const TURN_MS = 60_000; // plus the time of one message: less than the 5 minutes for which the SDK renews the lock

const RECEIVER = { skipParsingBodyAsJson: true }; // the SDK's JSON.parse would round integers above 2^53

const database = new DatabaseSync(process.env.DATABASE);
database.exec(`
  CREATE TABLE IF NOT EXISTS applied (id TEXT PRIMARY KEY, session TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE IF NOT EXISTS rows (table_name TEXT, key TEXT, data TEXT, PRIMARY KEY (table_name, key));
`);
const addId = database.prepare("INSERT OR IGNORE INTO applied (id, session) VALUES (?, ?)");
const readRow = database.prepare("SELECT data FROM rows WHERE table_name = ? AND key = ?");
const writeRow = database.prepare("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)");
const deleteRow = database.prepare("DELETE FROM rows WHERE table_name = ? AND key = ?");

const client = new ServiceBusClient(process.env.ASB_CONNECTION_STRING);
while (true) {
  try {
    await receiveSession(await client.acceptNextSession(process.env.QUEUE, RECEIVER));
  } catch (error) {
    if (error.code !== "ServiceTimeout") throw error; // a timeout: no session has messages
  }
}

/** Apply the session's messages, one at a time. An error ends the program, and nothing is lost. */
async function receiveSession(receiver) {
  const end = Date.now() + TURN_MS;
  try {
    while (Date.now() < end) {
      const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: IDLE_MS });
      if (!message) return;
      let data, metadata;
      try {
        ({ data, metadata } = parse(message.body.toString()));
        if (!data || !metadata) throw new Error("data or metadata is missing");
      } catch (error) {
        await receiver.deadLetterMessage(message, {
          deadLetterReason: "NotAChange",
          deadLetterErrorDescription: error.message,
        });
        continue;
      }
      applyOnce(message, data, metadata);
      await receiver.completeMessage(message); // only now: the change is durable
    }
  } finally {
    await receiver.close();
  }
}

/** Store the message id and the change in one transaction. A repeated message changes nothing. */
function applyOnce(message, data, metadata) {
  database.exec("BEGIN IMMEDIATE");
  try {
    if (addId.run(message.messageId, message.sessionId).changes) apply(data, metadata);
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

/** Replace this function with your own code. The table needs a key. */
function apply(data, metadata) {
  const row = [metadata.TableName, JSON.stringify(metadata.Key.map((column) => data[column]))];
  if (metadata.OperationType === "Delete") {
    deleteRow.run(...row);
  } else if (["Insert", "Update", "Read"].includes(metadata.OperationType)) {
    const stored = parse(readRow.get(...row)?.data ?? "{}");
    const kept = Object.entries(stored).filter(([column]) => metadata.Unchanged.includes(column));
    writeRow.run(...row, JSON.stringify({ ...Object.fromEntries(kept), ...data }));
  }
}

/** JSON.parse that keeps all digits of numbers. */
function parse(text) {
  return JSON.parse(text, (_, value, { source }) => (typeof value === "number" ? JSON.rawJSON(source) : value));
}
