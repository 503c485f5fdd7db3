#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""check_json.py SCHEMA: is what comes on standard input JSON as docs/schema/SCHEMA.json says?"""
import json
import os
import sys

import jsonschema

SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "docs", "schema")


def main():
    with open(os.path.join(SCHEMAS, sys.argv[1] + ".json"), encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft7Validator.check_schema(schema)
    text = sys.stdin.buffer.read().decode("utf-8")
    print(text)
    jsonschema.Draft7Validator(schema).validate(json.loads(text))


if __name__ == "__main__":
    main()
