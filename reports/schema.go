package reports

import _ "embed"

// Schema is the JSON schema (draft 2020-12) of a report of FormatVersion, as WriteJSON writes it.
//
//go:embed report.schema.json
var Schema string
