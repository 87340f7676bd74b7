/** ListItems as one would write it in a program. */

/**
 * @param {object | undefined} filter of a request
 * @param {string} address of the gRPC server
 * @param {(filter: any) => string} python the filter as the client takes it
 * @param {boolean} [vectors] whether they are wanted
 */
export function listWays(filter, address, python, vectors = false) {
  const quoted = (/** @type {object} */ value) => `'${JSON.stringify(value).replaceAll("'", `'\\''`)}'`;
  const asked = filter ? ` \\\n  --data-urlencode filter=${quoted(filter)}` : '';
  return [
    { name: 'Python', text: `from triveni.client import Client\n\nclient = Client("${address}")\nfor item in client.list(${[filter && `filter=${python(filter)}`, vectors && 'vectors=True'].filter(Boolean).join(', ')}):\n    print(item)` },
    { name: 'curl', text: `curl -G ${location.origin}/v1/items \\\n  -d page_size=100${vectors ? ' -d include_vectors=true' : ''}${asked}` },
    { name: 'grpcurl', text: `grpcurl -plaintext -d ${quoted({ page_size: 100, ...(vectors ? { include_vectors: true } : {}), ...(filter ? { filter } : {}) })} \\\n  ${address} triveni.v1.CatalogService/ListItems` },
  ];
}
