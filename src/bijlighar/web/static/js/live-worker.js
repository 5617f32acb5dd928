// One connection to the server for all pages of this browser: HTTP/1.1 allows six, and an EventSource in each of
// seven tabs would leave the seventh waiting for ever. The timers live here because hidden pages' timers are slowed.
"use strict";
const HEARTBEAT_LIMIT_MS = 12000;
const KINDS = ["state", "wall", "touch", "beat", "bye"];
const ports = new Map();
let source = null, url = "", heardAt = 0, isStale = true, lastState = null, lastWall = null;

function tell(message) {
  for (const port of ports.keys()) port.postMessage(message);
}

function hear(kind, event) {
  heardAt = Date.now();
  if (isStale) {
    isStale = false;
    tell({kind: "live", stale: false});
  }
  if (kind === "beat") return tell({kind, data: JSON.parse(event.data)});
  const data = event.data ? JSON.parse(event.data) : {};
  if (kind === "state") lastState = data;
  if (kind === "wall") {
    if (!data.full && (!lastWall || data.number < lastWall.number)) return; // written before the whole that stands
    lastWall = data.full ? data : merge(lastWall, data);
  }
  if (kind === "bye") { source.close(); source = null; }
  tell({kind, data});
}

function merge(known, change) {
  const rows = new Map(known.rows.map((row) => [row.key, row]));
  for (const key of change.gone) rows.delete(key);
  for (const row of change.rows) rows.set(row.key, row);
  return {...known, ...change, full: true, gone: [], rows: [...rows.values()]};
}

function connect() {
  if (source && source.readyState !== EventSource.CLOSED) return;
  source = new EventSource(url);
  for (const kind of KINDS) source.addEventListener(kind, (event) => hear(kind, event));
}

function look() {
  if (!source || source.readyState === EventSource.CLOSED) connect();
  const quiet = Date.now() - heardAt;
  if (!isStale && quiet > HEARTBEAT_LIMIT_MS) isStale = true;
  if (isStale) tell({kind: "live", stale: true, quiet_s: heardAt ? Math.round(quiet / 1000) : null});
  else if (source && source.readyState === EventSource.CONNECTING && quiet > HEARTBEAT_LIMIT_MS / 2) reconnect();
}

function reconnect() {
  source.close();
  connect();
}

function share() {
  const armed = [...ports.values()].find((page) => page.armed);
  tell({kind: "consoles", armed: Boolean(armed), heard_at: armed ? armed.heard_at : null});
}

function join(port) {
  ports.set(port, {armed: false, heard_at: null});
  port.onmessage = ({data}) => {
    if (data.kind === "open") {
      if (!url) { url = data.url; connect(); setInterval(look, 1000); }
      if (lastState) port.postMessage({kind: "state", data: lastState});
      if (lastWall) port.postMessage({kind: "wall", data: lastWall});
      port.postMessage({kind: "live", stale: isStale, quiet_s: heardAt ? Math.round((Date.now() - heardAt) / 1000) : null});
      share();
    } else if (data.kind === "again") {
      if (lastWall) port.postMessage({kind: "wall", data: lastWall});
    } else if (data.kind === "armed") {
      ports.set(port, {armed: data.armed, heard_at: data.heard_at});
      share();
    } else if (data.kind === "leave") {
      ports.delete(port);
      share();
    }
  };
  port.start?.();
}

if (typeof SharedWorkerGlobalScope !== "undefined" && self instanceof SharedWorkerGlobalScope) {
  self.onconnect = (event) => join(event.ports[0]);
} else {
  join(self); // a browser without shared workers: one of these per page
}
