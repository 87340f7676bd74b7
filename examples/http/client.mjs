// A client of Triveni over HTTP, of what a shop needs; no dependencies, Node 18 or newer, or a browser. Its types for
// TypeScript are in client.d.mts. `node client.mjs URL TEXT ITEM` shows it at work.

/** What the server says is wrong, and what to do about it. */
export class TriveniProblem extends Error {
  constructor(problem) {
    super(problem.detail);
    this.status = problem.status;
    this.reason = problem.reason;
    this.remedy = problem.remedy;
    this.retryAfter = problem.retry_after;
  }
}

export class Triveni {
  constructor(url, seconds = 5) {
    this.url = url.replace(/\/$/, "");
    this.seconds = seconds;
  }

  search(text, limit = 10) {
    return this.#post("/v1/search", { parts: [{ content: { text } }], limit });
  }

  recommend(userId, history = [], limit = 10) {
    return this.#post("/v1/recommend", { user_id: userId, history, limit });
  }

  record(userId, event) {
    return this.#post("/v1/events:record", { events: [{ user_id: userId, event }] });
  }

  async *upsert(items) {
    const lines = Array.from(items, (item) => JSON.stringify({ item }) + "\n").join("");
    const response = await this.#send("/v1/items:upsert", "application/x-ndjson", lines);
    let rest = "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      const ended = (rest + chunk).split("\n");
      rest = ended.pop();
      for (const line of ended) {
        const said = JSON.parse(line);
        if (said.error) throw new TriveniProblem(said.error);
        yield said;
      }
    }
  }

  async #post(path, body) {
    return (await this.#send(path, "application/json", JSON.stringify(body))).json();
  }

  async #send(path, kind, body) {
    const headers = { "content-type": kind, "x-request-timeout": String(this.seconds) };
    const response = await fetch(this.url + path, { method: "POST", headers, body });
    if (!response.ok) throw new TriveniProblem(await response.json());
    return response;
  }
}

async function main(url, text, itemId) {
  const triveni = new Triveni(url);
  const items = [
    { id: "example/1", contents: [{ text }] },
    { id: "example/2", contents: [] }, // refused, and the others are not
  ];
  for await (const one of triveni.upsert(items)) {
    console.log("upsert", one.item_id, one.outcome, one.problem?.message ?? "");
  }
  const answer = await triveni.search(text, 3);
  for (const result of answer.results) console.log("search", result.rank, result.item_id, result.score.toFixed(2));
  const click = { kind: "EVENT_KIND_CLICK", item_id: itemId, id: "click-1", request_id: answer.request_id };
  console.log("recorded", (await triveni.record("example-user", click)).recorded_count);
  const recommended = await triveni.recommend("example-user", [], 3);
  console.log("recommend", recommended.results.map((result) => result.item_id).join(" "));
  try {
    await triveni.search(text, -1);
  } catch (error) {
    if (!(error instanceof TriveniProblem)) throw error;
    console.log("problem", error.status, error.reason, error.remedy);
  }
}

if (globalThis.process?.argv[1]?.endsWith("client.mjs") && process.argv.length === 5) await main(...process.argv.slice(2));
