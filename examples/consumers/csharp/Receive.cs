// Copies the changes in a session queue to a SQLite database: in order per session, each change once.
// Set ASB_CONNECTION_STRING (with the Listen claim), QUEUE, and DATABASE (a file).
using System.Text.Json;
using System.Text.Json.Nodes;
using Azure.Messaging.ServiceBus;
using Microsoft.Data.Sqlite;

// Another session gets its turn after this long without a message, or after this long in any case.
var idle = TimeSpan.FromSeconds(1);
var turn = TimeSpan.FromMinutes(1);
var margin = TimeSpan.FromSeconds(30); // the session's lock is renewed this long before it expires
string[] writes = ["Insert", "Update", "Read"];

using var database = new SqliteConnection($"Data Source={Environment.GetEnvironmentVariable("DATABASE")}");
database.Open();
Execute("CREATE TABLE IF NOT EXISTS applied (id TEXT PRIMARY KEY, session TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP)");
Execute("CREATE TABLE IF NOT EXISTS rows (table_name TEXT, key TEXT, data TEXT, PRIMARY KEY (table_name, key))");

await using var client = new ServiceBusClient(Environment.GetEnvironmentVariable("ASB_CONNECTION_STRING"));
while (true)
{
    try
    {
        await using var receiver = await client.AcceptNextSessionAsync(Environment.GetEnvironmentVariable("QUEUE"));
        await ReceiveSession(receiver);
    }
    catch (ServiceBusException timeout) when (timeout.Reason == ServiceBusFailureReason.ServiceTimeout)
    {
        // no session has messages
    }
}

// Applies the session's messages, one at a time. An error ends the program, and nothing is lost.
async Task ReceiveSession(ServiceBusSessionReceiver receiver)
{
    var end = DateTimeOffset.UtcNow + turn;
    while (DateTimeOffset.UtcNow < end && await receiver.ReceiveMessageAsync(idle) is { } message)
    {
        if (receiver.SessionLockedUntil - DateTimeOffset.UtcNow < margin)
        {
            await receiver.RenewSessionLockAsync();
        }
        if (Read(message) is ({ } data, { } metadata))
        {
            ApplyOnce(message, data, metadata);
            await receiver.CompleteMessageAsync(message); // only now: the change is durable
        }
        else
        {
            await receiver.DeadLetterMessageAsync(message, "NotAChange");
        }
    }
}

static (JsonObject? Data, JsonObject? Metadata) Read(ServiceBusReceivedMessage message)
{
    try
    {
        var change = JsonNode.Parse(message.Body.ToString()) as JsonObject;
        return (change?["data"] as JsonObject, change?["metadata"] as JsonObject);
    }
    catch (JsonException)
    {
        return (null, null);
    }
}

// Stores the message id and the change in one transaction. A repeated message changes nothing.
void ApplyOnce(ServiceBusReceivedMessage message, JsonObject data, JsonObject metadata)
{
    using var transaction = database.BeginTransaction(); // rolls back unless it is committed
    const string add = "INSERT OR IGNORE INTO applied (id, session) VALUES ($0, $1)";
    if (Execute(add, message.MessageId, message.SessionId) == 1)
    {
        Apply(data, metadata);
    }
    transaction.Commit();
}

// Replace this function with your own code. The table needs a key.
void Apply(JsonObject data, JsonObject metadata)
{
    var table = metadata["TableName"]!.ToString();
    var operation = metadata["OperationType"]!.ToString();
    var values = metadata["Key"]!.AsArray().Select(column => data[column!.ToString()]?.DeepClone());
    var key = new JsonArray(values.ToArray()).ToJsonString();
    if (operation == "Delete")
    {
        Execute("DELETE FROM rows WHERE table_name = $0 AND key = $1", table, key);
    }
    else if (writes.Contains(operation))
    {
        var stored = JsonNode.Parse(StoredRow(table, key))!.AsObject();
        foreach (var column in metadata["Unchanged"]!.AsArray().Select(column => column!.ToString()))
        {
            if (stored.ContainsKey(column))
            {
                data[column] = stored[column]?.DeepClone();
            }
        }
        Execute("INSERT OR REPLACE INTO rows VALUES ($0, $1, $2)", table, key, data.ToJsonString());
    }
}

string StoredRow(string table, string key)
{
    using var command = Command("SELECT data FROM rows WHERE table_name = $0 AND key = $1", table, key);
    return command.ExecuteScalar() as string ?? "{}";
}

int Execute(string sql, params string[] values)
{
    using var command = Command(sql, values);
    return command.ExecuteNonQuery();
}

SqliteCommand Command(string sql, params string[] values)
{
    var command = database.CreateCommand(); // takes part in the connection's open transaction
    command.CommandText = sql;
    for (var index = 0; index < values.Length; index++)
    {
        command.Parameters.AddWithValue($"${index}", values[index]);
    }
    return command;
}
