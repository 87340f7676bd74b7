#!/usr/bin/env bash
# Search by a text, and by a picture beside it: search.sh URL TEXT [PICTURE]
set -euo pipefail
url=$1 text=$2 picture=${3:-}

# Values go into JSON through a program that knows how to quote: here python3; jq does as well.
quoted=$(printf %s "$text" | python3 -c 'import json, sys; print(json.dumps(sys.stdin.read()))')

echo "by text:"
curl --silent --show-error --fail-with-body "$url/v1/search" \
    --header 'content-type: application/json' \
    --data "{\"parts\": [{\"content\": {\"text\": $quoted}}], \"limit\": 3}"
echo

if [ -n "$picture" ]; then
    echo "by text and picture:"
    curl --silent --show-error --fail-with-body "$url/v1/search" \
        --form "message={\"parts\": [{\"content\": {\"text\": $quoted}}], \"limit\": 3}" \
        --form "parts[1].content.image=@$picture"
    echo
fi

echo "what there is:"
curl --silent --show-error --fail-with-body --get "$url/v1/items" --data page_size=3
echo

echo "an item that is not there is a problem with a remedy:"
curl --silent --show-error "$url/v1/items/no/such/item"
echo
