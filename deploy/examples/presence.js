// The script of presence.html: the contact book, one watch, one stream of events.
// Nothing but what browsers (and node, for a test) have; no EventSource, as that cannot
// send a token.
"use strict";

class Gateway {
  constructor(base, token) {
    this.base = base.replace(/\/+$/, "");
    this.headers = { Authorization: `Bearer ${token}` };
  }

  // Ask for something; what goes wrong is an Error with the problem's `type` and words.
  async ask(method, path, body) {
    const headers = { ...this.headers };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(this.base + path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    const said = text ? JSON.parse(text) : null;
    if (!answer.ok) throw Object.assign(new Error(said.detail), { type: said.type });
    return said;
  }

  // Yield the events of a stream for ever: when it breaks, go on behind the last event.
  async *events(path, signal) {
    let last = null;
    for (let pause = 500; !signal.aborted; ) {
      try {
        const headers = { ...this.headers };
        if (last !== null) headers["Last-Event-ID"] = last;
        const answer = await fetch(this.base + path, { headers, signal });
        if (!answer.ok) {
          const { type, detail } = await answer.json();
          throw Object.assign(new Error(detail), { type, fatal: answer.status < 500 });
        }
        pause = 500;
        for await (const event of parseEvents(answer.body)) {
          last = event.id ?? last;
          yield event;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error.fatal) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(2 * pause, 10000);
    }
  }
}

async function* parseEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const fields = {};
      for (const line of text.slice(0, end).split("\n")) {
        const colon = line.indexOf(": ");
        if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
      }
      if (fields.event) {
        yield { id: fields.id, event: fields.event, data: JSON.parse(fields.data) };
      }
    }
  }
}

// Watch all contacts of the book; `show` is given {user, name, state, status, ...}.
async function follow(gateway, show, signal) {
  const { contacts } = await gateway.ask("GET", "/v1/contacts");
  const known = contacts.filter((contact) => contact.user !== null);
  for (const contact of known) {
    show({ user: contact.user, name: contact.name, state: "asking", status: "" });
  }
  if (known.length === 0) return;
  const names = new Map(known.map((contact) => [contact.user, contact.name]));
  while (!signal.aborted) {
    const watch = await gateway.ask("POST", "/v1/watches", { who: [...names.keys()] });
    try {
      for await (const { event, data } of gateway.events(`/v1/events?watch=${watch.id}`, signal)) {
        if (event === "watch-ended") throw new Error(data.problem?.detail ?? "the watch ended");
        show({ ...data, name: names.get(data.user) });
      }
    } catch (error) {
      // A client that was started anew knows no watches of before: open another.
      if (error.type !== "urn:psp:problem:unknown-watch") throw error;
    } finally {
      await gateway.ask("DELETE", `/v1/watches/${watch.id}`).catch(() => {});
    }
  }
}

function page(document, location) {
  const element = (id) => document.getElementById(id);
  const rows = new Map();
  let running = null;

  function show({ user, name, state, status, capabilities = [] }) {
    let row = rows.get(user);
    if (!row) {
      row = document.createElement("li");
      for (const part of ["dot", "name", "state", "said"]) {
        const cell = document.createElement("span");
        cell.className = part;
        row.append(cell);
      }
      rows.set(user, row);
      element("contacts").append(row);
    }
    const said = [status, capabilities.join(", ")].filter(Boolean).join(" · ");
    row.className = state;
    // textContent: what a contact says is text, whatever it looks like.
    row.children[1].textContent = name;
    row.children[2].textContent = state;
    row.children[3].textContent = said;
  }

  async function connect() {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    rows.clear();
    element("contacts").replaceChildren();
    element("trouble").textContent = "";
    element("state").textContent = "connecting …";
    const gateway = new Gateway(element("base").value, element("token").value.trim());
    try {
      const status = await gateway.ask("GET", "/v1/status");
      element("state").textContent = `connected · ${status.relays} relays · ${status.registry}`;
      await follow(gateway, show, signal);
    } catch (error) {
      if (signal.aborted) return;
      element("state").textContent = "not connected";
      element("trouble").textContent = error.type
        ? error.message
        : `${error.message}: does psp client run, and are this page and ${location.origin} in gateway.origins?`;
    }
  }

  element("connect").addEventListener("submit", (event) => {
    event.preventDefault();
    connect();
  });
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.has("token")) {
    element("token").value = given.get("token");
    if (given.has("base")) element("base").value = given.get("base");
    // The token does not stay in the address, where the history would keep it.
    history.replaceState(null, "", location.pathname);
    connect();
  }
}

if (typeof document !== "undefined") page(document, location);
if (typeof module !== "undefined") module.exports = { Gateway, follow, parseEvents };
