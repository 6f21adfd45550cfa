#!/usr/bin/env bash
# A provider of the original protocol that writes nothing before its first row or result: `input` or `output SINK`.
if [ "$1" = input ]; then
  line_1=$(cat)
  rows=${line_1#*\"rows\":}
  rows=${rows%%[!0-9]*}
  for ((n = 0; n < rows; n++)); do
    printf '{"data":{"n":%d},"metadata":{"TableName":"t"}}\n' "$n"
  done
  exit 0
fi
IFS= read -r line_1
case "$line_1" in
  *'"command":"run"'*) cat >> "$2" ;;
  *'"fails":true'*) echo '{"status":"Failed","message":"quota exceeded"}' ;;
  *) echo "working" >&2; echo '{"status":"Success","message":"done"}'; exit 9 ;;
esac
