//! The API's own description.

use serde_json::{Value, json};

/// OpenAPI 3.1.
pub fn document() -> Value {
    let address = json!({ "oneOf": [
        { "type": "string", "example": "Ann <ann@example.org>" },
        { "type": "object", "required": ["email"], "properties": {
            "email": { "type": "string" }, "name": { "type": "string" } } } ] });
    let addresses = json!({ "oneOf": [address, { "type": "array", "items": address }] });
    let text = json!({ "type": "string" });
    let letter = json!({
        "type": "object", "required": ["from"], "additionalProperties": false,
        "properties": {
            "from": address, "to": addresses, "cc": addresses, "bcc": addresses,
            "reply_to": addresses, "subject": text, "text": text, "html": text,
            "headers": { "type": "object", "additionalProperties": text },
            "attachments": { "type": "array", "items": {
                "type": "object", "required": ["content"], "additionalProperties": false,
                "properties": { "filename": text, "content_type": text, "content_id": text,
                    "content": { "type": "string", "contentEncoding": "base64" } } } },
            "envelope": { "type": "object", "additionalProperties": false, "properties": {
                "from": text, "to": { "type": "array", "items": text },
                "id": { "type": "string", "maxLength": 100 } } },
            "release_at": { "type": "string", "format": "date-time",
                "description": "It leaves then, not at once (and not with hold_seconds)" },
            "hold_seconds": { "type": "integer", "minimum": 1, "maximum": 999_999_999 },
            "priority": { "type": "integer", "minimum": -9, "maximum": 9,
                "description": "More is more urgent; lowered to what an account gets" },
        }
    });
    let problem = json!({ "description": "What is wrong (RFC 9457)", "content": {
        "application/problem+json": { "schema": { "type": "object", "properties": {
            "title": text, "status": { "type": "integer" }, "detail": text,
            "enhanced_status": text } } } } });
    let taken = json!({ "description": "Taken: it is on disk", "content": { "application/json": {
        "schema": { "type": "object", "properties": {
            "receipt": { "type": "string", "example": "r2k-9f86d081" }, "accepted": text,
            "message_id": text, "recipients": { "type": "array", "items": { "type": "object",
                "properties": { "recipient": text, "state": text } } } } } } } });
    let query = |name: &str, what: &str| {
        json!({ "name": name, "in": "query", "schema": text,
        "description": what })
    };
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Restante", "version": env!("CARGO_PKG_VERSION") },
        "security": [{ "password": [] }, { "token": [] }],
        "components": { "securitySchemes": {
            "password": { "type": "http", "scheme": "basic" },
            "token": { "type": "http", "scheme": "bearer" },
            "operator": { "type": "http", "scheme": "bearer",
                "description": "restante operator token add" } } },
        "paths": {
            "/api/v1/send": { "post": {
                "summary": "Send a message",
                "parameters": [
                    { "name": "Idempotency-Key", "in": "header",
                      "schema": { "type": "string", "maxLength": 255 },
                      "description": "The same request sent again with it is not done again" },
                    query("from", "With message/rfc822: MAIL FROM"),
                    query("to", "With message/rfc822: RCPT TO, as often as needed"),
                    query("release_at", "With message/rfc822: when it leaves (RFC 3339)"),
                    query("hold_seconds", "With message/rfc822: after how long it leaves"),
                    query("priority", "With message/rfc822: -9 to 9"),
                ],
                "requestBody": { "required": true, "content": {
                    "application/json": { "schema": letter },
                    "message/rfc822": { "schema": text } } },
                "responses": { "200": taken, "202": taken, "400": problem, "401": problem,
                    "413": problem, "415": problem, "422": problem, "429": problem, "503": problem } } },
            "/api/v1/messages/{receipt}": { "get": {
                "summary": "What became of a message that you have sent",
                "parameters": [{ "name": "receipt", "in": "path", "required": true,
                    "schema": text }],
                "responses": { "200": { "description": "Its story" }, "401": problem,
                    "404": problem } } },
            "/api/v1/health": { "get": { "security": [], "summary": "Whether the server answers",
                "responses": { "200": { "description": "It does" } } } },
        }
    });
    let of_operators = crate::console::api_paths(&problem);
    if let (Some(paths), Value::Object(own)) = (document["paths"].as_object_mut(), own(&problem)) {
        paths.extend(of_operators);
        paths.extend(own);
    }
    document
}

/// What people do about their own mail.
fn own(problem: &Value) -> Value {
    let query = |name: &str, what: &str| {
        json!({ "name": name, "in": "query", "schema": { "type": "string" },
        "description": what })
    };
    json!({
        "/api/v1/my/deleted": { "get": {
            "summary": "What was deleted of your mail, the latest first (password only)",
            "parameters": [query("days", "So many days back (30)")],
            "responses": { "200": { "description": "Acts, with their first messages" },
                "401": problem, "403": problem } } },
        "/api/v1/my/restore": { "post": {
            "summary": "Have it back, with folder, flags and date (password only)",
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object", "additionalProperties": false, "properties": {
                    "acts": { "type": "array", "items": { "type": "integer" } },
                    "redo": { "type": "string", "example": "4811-4902" } } } } } },
            "responses": { "200": { "description": "What came of it, and how it is taken back" },
                "400": problem, "401": problem, "403": problem, "404": problem,
                "503": problem } } },
        "/api/v1/my/search": { "get": {
            "summary": "Find any message that you sent or that came into your mailboxes (password only)",
            "parameters": [query("q", "from:anna subject:invoice has:attachment after:2026-01-01 …"),
                query("limit", "At most so many, the newest first (20, up to 100)")],
            "responses": { "200": { "description": "Messages, without anything of others" },
                "400": problem, "401": problem, "403": problem, "503": problem } } },
        "/api/v1/my/search/export": { "get": {
            "summary": "The same as a zip file: messages, their hashes and proofs (password only)",
            "parameters": [query("q", "See above"), query("as", "eml (a file each) or mbox")],
            "responses": { "200": { "description": "A zip file",
                    "content": { "application/zip": {} } },
                "400": problem, "401": problem, "403": problem, "503": problem } } },
        "/api/v1/my/search/restore": { "post": {
            "summary": "Put a message that you found into a mailbox of yours (password only)",
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object", "additionalProperties": false, "required": ["receipt"],
                "properties": {
                    "receipt": { "type": "string", "example": "r2k-9f86d081" },
                    "mailbox": { "type": "string", "default": "INBOX" } } } } } },
            "responses": { "200": { "description": "Where it is" },
                "400": problem, "401": problem, "403": problem, "404": problem,
                "503": problem } } },
        "/api/v1/my/messages/trace": { "get": {
            "summary": "Where messages are that came to you or that you sent (password only)",
            "parameters": [query("receipt", "This one"), query("message_id", "With this one"),
                query("from", "From (or to) this address"), query("days", "So many days back (30)")],
            "responses": { "200": { "description": "Stories, without anything of others" },
                "400": problem, "401": problem, "403": problem } } },
    })
}
