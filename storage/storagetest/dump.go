package storagetest

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"hufu/storage"
)

// Dump returns every row of a database as it is stored, by table, each with its values
// between blanks: what stands in none of them is kept nowhere.
func Dump(t testing.TB, dsn string) map[string][]string {
	t.Helper()
	driver, address, list := "pgx", dsn, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	if d, err := storage.ParseDSN(dsn); err != nil {
		t.Fatal(err)
	} else if d == storage.SQLite {
		driver, address, list = "sqlite", strings.TrimPrefix(dsn, "sqlite:"), "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	tables := map[string][]string{}
	for _, name := range dumpRows(t, db, list) {
		name = strings.TrimSpace(name)
		tables[name] = dumpRows(t, db, "SELECT * FROM "+name)
	}
	return tables
}

func dumpRows(t testing.TB, db *sql.DB, query string) (list []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := " "
		for _, v := range values {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			row += fmt.Sprint(v) + " "
		}
		list = append(list, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}
