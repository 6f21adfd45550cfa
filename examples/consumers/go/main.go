// Copies the changes in a session queue to a SQLite database: in order per session, each change once.
// Set ASB_CONNECTION_STRING (with the Listen claim), QUEUE, and DATABASE (a file).
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log"
	"os"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	_ "modernc.org/sqlite"
)

const (
	// Another session gets its turn after this long without a message, or after this long in any case.
	idle = time.Second
	turn = time.Minute

	margin = 30 * time.Second // the session's lock is renewed this long before it expires

	tables = `
		CREATE TABLE IF NOT EXISTS applied (id TEXT PRIMARY KEY, session TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP);
		CREATE TABLE IF NOT EXISTS rows (table_name TEXT, key TEXT, data TEXT, PRIMARY KEY (table_name, key));`
)

type row map[string]json.RawMessage // values as they were sent, with all digits

type event struct {
	Data     row
	Metadata *struct {
		TableName, OperationType string
		Key, Unchanged           []string
	}
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	database, err := sql.Open("sqlite", os.Getenv("DATABASE"))
	if err != nil {
		return err
	}
	if _, err := database.Exec(tables); err != nil {
		return err
	}
	client, err := azservicebus.NewClientFromConnectionString(os.Getenv("ASB_CONNECTION_STRING"), nil)
	if err != nil {
		return err
	}
	for {
		receiver, err := client.AcceptNextSessionForQueue(ctx, os.Getenv("QUEUE"), nil)
		var refused *azservicebus.Error
		if errors.As(err, &refused) && refused.Code == azservicebus.CodeTimeout {
			continue // no session has messages
		}
		if err != nil {
			return err
		}
		if err := receiveSession(ctx, receiver, database); err != nil {
			return err
		}
	}
}

// receiveSession applies the session's messages, one at a time. An error ends the program, and nothing is lost.
func receiveSession(ctx context.Context, receiver *azservicebus.SessionReceiver, database *sql.DB) error {
	defer receiver.Close(ctx)
	for end := time.Now().Add(turn); time.Now().Before(end); {
		message, err := next(ctx, receiver)
		if message == nil || err != nil {
			return err
		}
		if time.Until(receiver.LockedUntil()) < margin {
			if err := receiver.RenewSessionLock(ctx, nil); err != nil {
				return err
			}
		}
		var change event
		if err := json.Unmarshal(message.Body, &change); err != nil || change.Data == nil || change.Metadata == nil {
			reason := "NotAChange"
			options := &azservicebus.DeadLetterOptions{Reason: &reason}
			if err := receiver.DeadLetterMessage(ctx, message, options); err != nil {
				return err
			}
			continue
		}
		if err := applyOnce(database, message, change); err != nil {
			return err
		}
		if err := receiver.CompleteMessage(ctx, message, nil); err != nil { // only now: the change is durable
			return err
		}
	}
	return nil
}

// next returns nil if the session has had no message for a while.
func next(ctx context.Context, receiver *azservicebus.SessionReceiver) (*azservicebus.ReceivedMessage, error) {
	waiting, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	messages, err := receiver.ReceiveMessages(waiting, 1, nil)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return messages[0], nil
}

// applyOnce stores the message id and the change in one transaction. A repeated message changes nothing.
func applyOnce(database *sql.DB, message *azservicebus.ReceivedMessage, change event) error {
	transaction, err := database.Begin()
	if err != nil {
		return err
	}
	defer transaction.Rollback() // does nothing after Commit
	added, err := transaction.Exec(
		"INSERT OR IGNORE INTO applied (id, session) VALUES (?, ?)", message.MessageID, message.SessionID)
	if err != nil {
		return err
	}
	if count, err := added.RowsAffected(); err != nil || count == 0 {
		return err
	}
	if err := apply(transaction, change); err != nil {
		return err
	}
	return transaction.Commit()
}

// apply stores a change. Replace it with your own code. The table needs a key.
func apply(transaction *sql.Tx, change event) error {
	data, metadata := change.Data, change.Metadata
	values := []json.RawMessage{}
	for _, column := range metadata.Key {
		values = append(values, data[column])
	}
	key, err := json.Marshal(values)
	if err != nil {
		return err
	}
	if metadata.OperationType == "Delete" {
		_, err := transaction.Exec(
			"DELETE FROM rows WHERE table_name = ? AND key = ?", metadata.TableName, string(key))
		return err
	}
	if !slices.Contains([]string{"Insert", "Update", "Read"}, metadata.OperationType) {
		return nil
	}
	stored := "{}"
	err = transaction.QueryRow(
		"SELECT data FROM rows WHERE table_name = ? AND key = ?", metadata.TableName, string(key)).Scan(&stored)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var before row
	if err := json.Unmarshal([]byte(stored), &before); err != nil {
		return err
	}
	for _, column := range metadata.Unchanged {
		if value, ok := before[column]; ok {
			data[column] = value
		}
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_, err = transaction.Exec("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", metadata.TableName, string(key), string(text))
	return err
}
