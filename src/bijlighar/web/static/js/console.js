// What moves on the pages of the control room: the connection, the banner, counts, rows, keys. It decides nothing.
"use strict";
window.bijlighar = window.bijlighar || {};
(() => {
  const TOUCH_MS = 1000, REASONS = {
    off: "Press On duty to arm it.",
    gesture: "The browser lets no page sound before it is touched; press On duty.",
    suspended: "The sound has been stopped by the browser or the system; press On duty.",
    stale: "No word from the server for {age}. New alarms cannot be seen here; call the shift in-charge.",
    unheard: "The test tone was not heard; check loudspeaker and volume, then press On duty.",
    devices: "The sound devices have changed; press On duty and listen again.",
    shift: "A new shift or a reloaded page; press On duty.",
  };
  const texts = JSON.parse(document.body.dataset.texts);
  const byId = (id) => document.getElementById(id);
  const siren = bijlighar.siren;
  let state = null, offset_ms = 0, isStale = true, lastHeard = null, others = {armed: false}, worker = null,
    touchedAt = 0, touchTimer = null, isHeld = false;

  const text = (english, facts = {}) =>
    (texts[english] || english).replace(/\{(\w+)\}/g, (whole, name) => facts[name] ?? whole);
  bijlighar.serverNow = () => Date.now() + offset_ms;
  bijlighar.tellWorker = (message) => worker && worker.postMessage(message);

  function token() {
    return JSON.parse(document.body.getAttribute("hx-headers:inherited"))["x-csrftoken"];
  }
  bijlighar.send = (path, document_) =>
    fetch(path, {method: "POST", keepalive: true, headers: {"content-type": "application/json", "x-csrftoken": token()},
      body: JSON.stringify(document_)}).catch(() => null);

  function age(ms) {
    const seconds = Math.max(0, Math.floor(ms / 1000));
    if (seconds < 60) return `${seconds} ${text("s")}`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} ${text("min")} ${seconds % 60} ${text("s")}`;
    return `${Math.floor(seconds / 3600)} ${text("h")} ${Math.floor(seconds / 60) % 60} ${text("min")}`;
  }
  const clock = (moment, seconds = false) => new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit",
    ...(seconds ? {second: "2-digit"} : {}), timeZone: "Asia/Kolkata"}).format(new Date(moment));

  // ---- what the head of the page shows ------------------------------------------------------------------------
  function showHead() {
    const now = bijlighar.serverNow();
    const live = byId("live"), pill = byId("siren-pill");
    if (!live) return;
    live.dataset.state = isStale ? "stale" : "on";
    byId("live-text").textContent = isStale ? text("Stale since {time}", {time: lastHeard ? clock(lastHeard, true) : "–"})
      : `● ${text("Live")} ${clock(now, true)}`;
    document.body.classList.toggle("stale", isStale && lastHeard !== null && now - lastHeard > 15000);
    showBanner(now);
    showSiren(pill);
  }

  function showBanner(now) {
    const banner = byId("banner"), required = Boolean(state && state.siren.required);
    banner.hidden = !required;
    if (!required) return;
    const {siren: told} = state;
    banner.toggleAttribute("data-flash", told.sounding);
    byId("banner-title").textContent = text(told.level === "SYSTEM" ? "SYSTEM ALARM" : "TAMPER");
    const parts = [text("{count} not acknowledged · oldest {age}", {count: told.count, age: age(now - Date.parse(told.oldest_at))})];
    if (told.escalated_to) parts.push(text("escalated to {who}", {who: told.escalated_to}));
    if (told.next_at) parts.push(text("escalates to {who} in {age}", {who: told.next_to, age: age(Date.parse(told.next_at) - now)}));
    if (!told.sounding && told.silenced_until) parts.push(text("Silenced until {time}", {time: clock(told.silenced_until, true)}));
    byId("banner-text").textContent = parts.join(" · ");
    byId("banner-silence").hidden = !told.sounding;
  }

  function showSiren(pill) {
    const watched = document.body.dataset.watched !== "false" && document.body.dataset.console === "true";
    const isArmed = ["armed", "sounding", "silenced"].includes(siren.state);
    const elsewhere = !isArmed && others.armed;
    pill.hidden = !watched;
    pill.dataset.state = siren.state === "off" ? (elsewhere ? "armed" : "not_armed") : siren.state;
    const heard = isArmed ? siren.heardAt : others.heard_at;
    pill.textContent = siren.state === "sounding" ? text("Siren sounding")
      : isArmed || elsewhere ? `♪ ${text("Siren armed, heard {time}", {time: heard ? clock(heard) : "–"})}` : text("Siren NOT armed");
    const box = byId("not-armed"), asking = siren.state === "asking";
    byId("heard").hidden = !asking;
    const why = siren.state === "off" ? "off" : siren.reason;
    box.hidden = !watched || isArmed || asking || siren.state === "arming" || (siren.state === "off" && elsewhere);
    byId("not-armed-why").textContent = text(REASONS[why] || REASONS.off, {age: age((siren.quiet_s ?? 0) * 1000)});
    byId("arm").hidden = why === "stale";
  }

  // ---- what moves in the page ---------------------------------------------------------------------------------
  // A change that comes while somebody points at a row is not put by: the worker keeps the whole wall, which is asked
  // for when nobody points any more.
  function showWall(change) {
    const body = byId("wall-rows");
    if (!body) return;
    if (change.figures && byId("figures")) byId("figures").innerHTML = change.figures;
    isHeld = isPointedAt(body);
    byId("held")?.toggleAttribute("hidden", !isHeld);
    (isHeld ? patchInPlace : patch)(body, change);
  }
  const askForWall = () => byId("wall-rows") && bijlighar.tellWorker({kind: "again"});
  // By the mouse, or by the keys; a button that was clicked keeps the focus, and that holds nothing.
  const isPointedAt = (body) => body.matches(":hover") || Boolean(body.querySelector(":focus-visible"));

  // Under the pointer nothing moves: what stands is brought up to date in its place, the rest waits.
  function patchInPlace(body, change) {
    for (const row of change.rows) {
      const known = body.querySelector(`[data-key="${CSS.escape(row.key)}"]`);
      if (known) replace(known, row);
    }
  }

  function patch(body, change) {
    if (change.full) {
      const keep = new Set(change.rows.map((row) => row.key));
      for (const known of [...body.children]) if (!keep.has(known.dataset.key)) known.remove();
    }
    for (const key of change.gone || []) body.querySelector(`[data-key="${CSS.escape(key)}"]`)?.remove();
    for (const row of change.rows) {
      const known = body.querySelector(`[data-key="${CSS.escape(row.key)}"]`);
      if (known && known.dataset.sort === row.sort) { replace(known, row); continue; }
      known?.remove();
      place(body, row);
    }
    const empty = byId("wall-empty");
    if (empty) empty.hidden = body.children.length > 0;
  }

  function parsed(row) {
    const holder = document.createElement("template");
    holder.innerHTML = row.html;
    return holder.content.firstElementChild;
  }
  function replace(known, row) {
    if (known.dataset.digest === row.digest) return;
    const hadFocus = known.contains(document.activeElement), fresh = parsed(row);
    known.replaceWith(fresh);
    window.htmx?.process(fresh); // only what stands in the page is given its hands
    if (hadFocus) fresh.focus({preventScroll: true});
  }
  function place(body, row) {
    const fresh = parsed(row);
    body.insertBefore(fresh, [...body.children].find((other) => other.dataset.sort > row.sort) ?? null);
    window.htmx?.process(fresh);
  }

  function touch() {
    const wait = touchedAt + TOUCH_MS - Date.now();
    if (wait > 0) { touchTimer ??= setTimeout(() => { touchTimer = null; touch(); }, wait); return; }
    touchedAt = Date.now();
    if (document.visibilityState !== "visible") return;
    for (const element of document.querySelectorAll("[data-live]")) {
      if (!element.matches(":focus-within")) window.htmx?.trigger(element, "live");
    }
  }

  // ---- the connection -----------------------------------------------------------------------------------------
  function take({data: message}) {
    if (message.kind === "live") {
      isStale = message.stale;
      siren.live(message.stale, message.quiet_s);
    } else if (message.kind === "consoles") {
      others = message;
    } else {
      if (message.data.at) { offset_ms = Date.parse(message.data.at) - Date.now(); lastHeard = Date.parse(message.data.at); }
      if (message.kind === "state") {
        const before = state;
        state = message.data;
        siren.obey(state.siren);
        const tile = document.querySelector("[data-count=p1]"); // banner and tile never disagree
        if (tile) tile.textContent = state.siren.count.toLocaleString("en-IN");
        if (before && state.chimes > before.chimes) siren.chime();
        document.body.dataset.watched = String(state.watched);
        if (before?.number !== state.number) touch();
      } else if (message.kind === "wall") {
        showWall(message.data);
      } else if (message.kind === "touch") {
        touch();
      }
    }
    showHead();
  }

  function open() {
    const {worker: script, live: url} = document.body.dataset;
    if (window.SharedWorker) {
      const shared = new SharedWorker(script, {name: url});
      worker = shared.port;
      worker.onmessage = take;
      worker.start();
    } else {
      worker = new Worker(script);
      worker.onmessage = take;
    }
    worker.postMessage({kind: "open", url});
    addEventListener("pagehide", () => worker.postMessage({kind: "leave"}));
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  // ---- going on without leaving -------------------------------------------------------------------------------
  // A page that is loaded anew must ask again whether its tone is heard. While the siren is armed, pages are
  // therefore put into the one that stands; anything else than a page of the console is loaded as ever.
  const staysArmed = () => ["armed", "sounding", "silenced"].includes(siren.state);

  async function visit(url, options = {}, keep = false) {
    let answer;
    try {
      answer = await fetch(url, {...options, headers: {accept: "text/html"}});
    } catch (problem) {
      return showHead();
    }
    const isPage = (answer.headers.get("content-type") || "").startsWith("text/html");
    const next = isPage ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
    const page = next?.getElementById("page");
    if (!page || next.body.dataset.live !== document.body.dataset.live) return location.assign(answer.url || url);
    for (const link of next.head.querySelectorAll("link[rel=stylesheet]")) {
      if (!document.head.querySelector(`link[href="${link.getAttribute("href")}"]`)) document.head.append(document.importNode(link));
    }
    document.title = next.title;
    byId("page").replaceWith(document.importNode(page, true));
    if (!keep) history.pushState({}, "", answer.url);
    window.htmx?.process?.(byId("page"));
    window.scrollTo(0, 0);
    settle();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (!staysArmed() || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname) return;
    if (/\.(csv|pdf)$/.test(link.pathname) || link.pathname.startsWith("/me")) return;
    event.preventDefault();
    visit(link.href);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target, button = event.submitter;
    if (event.defaultPrevented || !staysArmed() || form.hasAttribute("hx-post") || form.hasAttribute("hx-get")) return;
    if (["/sign-out", "/language"].includes(new URL(form.action).pathname)) return;
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form, button));
    if (form.method === "get") visit(`${new URL(form.action).pathname}?${fields}`);
    else visit(button?.getAttribute("formaction") || form.action, {method: "POST", body: fields});
  });
  addEventListener("popstate", () => (staysArmed() ? visit(location.href, {}, true) : location.reload()));

  // ---- hands --------------------------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const id = event.target.closest("button")?.id;
    if (id === "arm" || (id === "siren-pill" && ["off", "not_armed"].includes(siren.state))) siren.arm();
    else if (id === "heard-yes") siren.heard(true);
    else if (id === "heard-no") siren.heard(false);
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...document.querySelectorAll("[data-key]")];
    const at = rows.indexOf(document.activeElement?.closest("[data-key]"));
    if (event.key === "j" || event.key === "k") {
      (rows[event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0)] || rows[0])?.focus();
    } else if (event.key === "a" && at >= 0) {
      rows[at].querySelector("[data-acknowledge]")?.click();
    } else if (event.key === "Enter" && at >= 0 && document.activeElement === rows[at]) {
      rows[at].querySelector("[data-open]")?.click();
    } else if (event.key === "/") {
      const find = document.querySelector("[data-find]");
      if (!find) return;
      find.focus();
    } else return;
    event.preventDefault();
  });

  for (const left of ["mouseover", "mouseout", "focusout"]) {
    document.addEventListener(left, () => isHeld && setTimeout(() => {
      const body = byId("wall-rows");
      if (!isHeld || (body && isPointedAt(body))) return;
      isHeld = false;
      askForWall();
    }, 0));
  }

  // What was refused is told above the page, whatever the answer was meant to replace; what is looked at again and
  // again stays as it was.
  document.addEventListener("htmx:response:error", ({detail: {ctx}}) => {
    ctx.target = byId("said");
    ctx.swap = ctx.sourceEvent?.type === "live" ? "none" : "innerHTML";
    ctx.select = ctx.selectOOB = null;
  });
  document.addEventListener("htmx:after:request", ({detail: {ctx}}) => {
    if (ctx.request.method !== "GET" && ctx.response.status < 400) byId("said")?.replaceChildren();
  });

  function settle() {
    for (const link of document.querySelectorAll(".top nav a")) {
      const here = link.pathname === location.pathname || (link.pathname !== "/" && location.pathname.startsWith(`${link.pathname}/`));
      link.toggleAttribute("aria-current", here);
      if (here) link.setAttribute("aria-current", "page");
    }
    askForWall();
    showHead();
  }
  document.addEventListener("htmx:after:swap", settle);
  siren.onChange(showHead);
  document.body.dataset.siren = siren.state;
  document.body.dataset.loud = "false";
  open();
  settle();
  setInterval(showHead, 1000);
})();
