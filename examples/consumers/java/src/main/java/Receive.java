import com.azure.messaging.servicebus.ServiceBusClientBuilder;
import com.azure.messaging.servicebus.ServiceBusReceivedMessage;
import com.azure.messaging.servicebus.ServiceBusReceiverClient;
import com.azure.messaging.servicebus.ServiceBusSessionReceiverClient;
import com.azure.messaging.servicebus.models.DeadLetterOptions;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/**
 * Copies the changes in a session queue to a SQLite database: in order per session, each change once.
 *
 * <p>Set ASB_CONNECTION_STRING (with the Listen claim), QUEUE, and DATABASE (a file).
 */
public final class Receive {
    // Another session gets its turn after this long without a message, or after this long in any case.
    private static final Duration IDLE = Duration.ofSeconds(1);
    private static final Duration TURN = Duration.ofMinutes(1); // the SDK renews the lock for 5 minutes

    private static final Set<String> WRITES = Set.of("Insert", "Update", "Read");
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws SQLException, JsonProcessingException {
        Connection database = DriverManager.getConnection("jdbc:sqlite:" + System.getenv("DATABASE"));
        execute(database, "CREATE TABLE IF NOT EXISTS applied "
            + "(id TEXT PRIMARY KEY, session TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP)");
        execute(database, "CREATE TABLE IF NOT EXISTS rows "
            + "(table_name TEXT, key TEXT, data TEXT, PRIMARY KEY (table_name, key))");
        database.setAutoCommit(false);
        ServiceBusSessionReceiverClient sessions = new ServiceBusClientBuilder()
            .connectionString(System.getenv("ASB_CONNECTION_STRING"))
            .sessionReceiver()
            .queueName(System.getenv("QUEUE"))
            .disableAutoComplete()
            .buildClient();
        while (true) {
            ServiceBusReceiverClient receiver;
            try {
                receiver = sessions.acceptNextSession();
            } catch (IllegalStateException timeout) {
                continue; // no session has messages
            }
            try (receiver) {
                receiveSession(receiver, database);
            }
        }
    }

    /** Applies the session's messages, one at a time. An error ends the program, and nothing is lost. */
    private static void receiveSession(ServiceBusReceiverClient receiver, Connection database)
        throws SQLException, JsonProcessingException {
        long end = System.nanoTime() + TURN.toNanos();
        while (System.nanoTime() < end) {
            Optional<ServiceBusReceivedMessage> received = receiver.receiveMessages(1, IDLE).stream().findFirst();
            if (received.isEmpty()) {
                return;
            }
            ServiceBusReceivedMessage message = received.get();
            JsonNode event = read(message);
            if (event.path("data").isObject() && event.path("metadata").isObject()) {
                applyOnce(database, message, (ObjectNode) event.get("data"), event.get("metadata"));
                receiver.complete(message); // only now: the change is durable
            } else {
                receiver.deadLetter(message, new DeadLetterOptions().setDeadLetterReason("NotAChange"));
            }
        }
    }

    private static JsonNode read(ServiceBusReceivedMessage message) {
        try {
            return JSON.readTree(message.getBody().toString());
        } catch (JsonProcessingException notJson) {
            return JSON.missingNode();
        }
    }

    /** Stores the message id and the change in one transaction. A repeated message changes nothing. */
    private static void applyOnce(
        Connection database, ServiceBusReceivedMessage message, ObjectNode data, JsonNode metadata)
        throws SQLException, JsonProcessingException {
        try {
            String add = "INSERT OR IGNORE INTO applied (id, session) VALUES (?, ?)";
            if (execute(database, add, message.getMessageId(), message.getSessionId()) == 1) {
                apply(database, data, metadata);
            }
            database.commit();
        } catch (SQLException | JsonProcessingException | RuntimeException error) {
            database.rollback();
            throw error;
        }
    }

    /** Replace this method with your own code. The table needs a key. */
    private static void apply(Connection database, ObjectNode data, JsonNode metadata)
        throws SQLException, JsonProcessingException {
        String table = metadata.get("TableName").asText();
        String operation = metadata.get("OperationType").asText();
        var values = JSON.createArrayNode();
        metadata.get("Key").forEach(column -> values.add(data.get(column.asText())));
        String key = values.toString();
        if (operation.equals("Delete")) {
            execute(database, "DELETE FROM rows WHERE table_name = ? AND key = ?", table, key);
        } else if (WRITES.contains(operation)) {
            JsonNode stored = JSON.readTree(storedRow(database, table, key));
            for (JsonNode column : metadata.get("Unchanged")) {
                if (stored.has(column.asText())) {
                    data.set(column.asText(), stored.get(column.asText()));
                }
            }
            execute(database, "INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", table, key, data.toString());
        }
    }

    private static String storedRow(Connection database, String table, String key) throws SQLException {
        String query = "SELECT data FROM rows WHERE table_name = ? AND key = ?";
        try (PreparedStatement statement = database.prepareStatement(query)) {
            statement.setString(1, table);
            statement.setString(2, key);
            ResultSet found = statement.executeQuery();
            return found.next() ? found.getString(1) : "{}";
        }
    }

    private static int execute(Connection database, String sql, String... values) throws SQLException {
        try (PreparedStatement statement = database.prepareStatement(sql)) {
            for (int index = 0; index < values.length; index++) {
                statement.setString(index + 1, values[index]);
            }
            return statement.executeUpdate();
        }
    }
}
