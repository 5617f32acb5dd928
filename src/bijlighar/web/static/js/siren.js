// The siren of one console. The server decides whether it is called for; this obeys, and says so when it cannot.
// OFF -> ARMING (test tone, "did you hear it?") -> ARMED -> SOUNDING -> SILENCED; any fault -> NOT ARMED (reason).
"use strict";
window.bijlighar = window.bijlighar || {};
bijlighar.siren = (() => {
  const TEST_TONE_S = 1, GESTURE_MS = 2000, LOUD = 0.5, LOUD_AFTER_S = 0.5, BEAT_MS = 10000, LOOK_MS = 1000, SHIFT_MS = 8 * 3600e3;
  const TONES = {
    TAMPER: {type: "square", hz: 900, sweep: 350, rate: 1.2},
    ESCALATED: {type: "sawtooth", hz: 1150, sweep: 450, rate: 3},
    SYSTEM: {type: "square", hz: 520, sweep: 90, rate: 0.6},
  };
  let state = "off", reason = "", heardAt = null, armedSince = 0, context = null, gain = null, tone = null, sweep = null,
    depth = null, analyser = null, wakeLock = null, lastTime = 0, moved = false, loudAt = 0, isStale = true, quiet_s = null, server = null;
  const listeners = [];

  function consoleId() {
    let id = sessionStorage.getItem("console");
    if (!id) {
      id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (octet) => octet.toString(16).padStart(2, "0")).join("");
      sessionStorage.setItem("console", id);
    }
    return id;
  }

  function become(next, why = "") {
    const before = state + reason;
    state = next;
    reason = why;
    document.body.dataset.siren = state;
    if (state + reason !== before) {
      listeners.forEach((listener) => listener());
      if (before !== "off") beat();
    }
    sound();
  }

  function build() {
    context = new AudioContext();
    gain = context.createGain();
    gain.gain.value = 0;
    analyser = context.createAnalyser();
    tone = context.createOscillator();
    sweep = context.createOscillator();
    depth = context.createGain();
    sweep.connect(depth).connect(tone.frequency);
    tone.connect(gain).connect(analyser).connect(context.destination);
    choose("TAMPER");
    tone.start();
    sweep.start();
    context.onstatechange = look;
  }

  function choose(name) {
    const wanted = TONES[name] || TONES.TAMPER;
    tone.type = wanted.type;
    tone.frequency.value = wanted.hz;
    depth.gain.value = wanted.sweep;
    sweep.frequency.value = wanted.rate;
  }

  async function arm() {
    become("arming");
    try {
      if (!context) build();
      // without a gesture this waits for one, and for so long nothing would be said
      await Promise.race([context.resume(), new Promise((done) => setTimeout(done, GESTURE_MS))]);
      if (context.state !== "running") return become("not_armed", "gesture");
      lockScreen();
      choose("TAMPER");
      gain.gain.setTargetAtTime(LOUD, context.currentTime, 0.005);
      await new Promise((done) => setTimeout(done, TEST_TONE_S * 1000));
      gain.gain.setTargetAtTime(0, context.currentTime, 0.005);
    } catch (problem) {
      return become("not_armed", "gesture");
    }
    become(context.state === "running" ? "asking" : "not_armed", context.state === "running" ? "" : "gesture");
  }

  function heard(yes) {
    if (state !== "asking") return;
    if (!yes) return become("not_armed", "unheard");
    heardAt = new Date(bijlighar.serverNow()).toISOString();
    armedSince = Date.now();
    become("armed");
    beat();
  }

  // What the server asks for, and whether this console can do it.
  function sound() {
    const isArmed = ["armed", "sounding", "silenced"].includes(state);
    if (!isArmed || !server) {
      if (gain && state !== "arming") gain.gain.setTargetAtTime(0, context.currentTime, 0.005);
      document.body.dataset.loud = "false";
      return;
    }
    const next = !server.required ? "armed" : server.sounding ? "sounding" : "silenced";
    if (next === "sounding") choose(server.level);
    gain.gain.setTargetAtTime(next === "sounding" ? LOUD : 0, context.currentTime, 0.005);
    if (next === "sounding" && document.body.dataset.loud !== "true") loudAt = context.currentTime;
    document.body.dataset.loud = String(next === "sounding");
    if (next !== state) {
      state = next;
      document.body.dataset.siren = state;
      listeners.forEach((listener) => listener());
    }
  }

  function obey(siren) {
    server = siren;
    sound();
  }

  function chime() {
    if (!["armed", "silenced"].includes(state)) return;
    const note = context.createOscillator(), level = context.createGain();
    note.frequency.value = 660;
    level.gain.setValueAtTime(0.3, context.currentTime);
    level.gain.exponentialRampToValueAtTime(0.001, context.currentTime + 0.6);
    note.connect(level).connect(context.destination);
    note.start();
    note.stop(context.currentTime + 0.6);
  }

  function look() {
    const isArmed = ["armed", "sounding", "silenced"].includes(state);
    if (context) {
      moved = context.currentTime > lastTime;
      lastTime = context.currentTime;
    }
    if (isArmed && context.state !== "running") become("not_armed", "suspended");
    else if (isArmed && isStale) become("not_armed", "stale");
    else if (isArmed && Date.now() - armedSince > SHIFT_MS) become("not_armed", "shift");
    else if (state === "not_armed" && reason === "stale" && !isStale && context && context.state === "running") become("armed");
  }

  function live(stale, quiet) {
    isStale = stale;
    quiet_s = quiet;
    look();
    listeners.forEach((listener) => listener());
  }

  async function lockScreen() {
    try {
      wakeLock = navigator.wakeLock ? await navigator.wakeLock.request("screen") : null;
    } catch (problem) {
      wakeLock = null;
    }
  }

  function rms() {
    if (!analyser || document.body.dataset.loud !== "true" || context.currentTime - loudAt < LOUD_AFTER_S) return null;
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
  }

  function beat() {
    bijlighar.tellWorker({kind: "armed", armed: ["armed", "sounding", "silenced"].includes(state), heard_at: heardAt});
    if (state === "off") return;
    bijlighar.send("/console/beat", {
      console: consoleId(),
      state: ["armed", "sounding", "silenced"].includes(state) ? "armed" : "not_armed",
      reason, heard_at: heardAt, moved, rms: rms(), visible: document.visibilityState === "visible",
    });
  }

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && context && state !== "off") lockScreen();
  });
  navigator.mediaDevices?.addEventListener("devicechange", () => {
    if (["armed", "sounding", "silenced"].includes(state)) become("not_armed", "devices");
  });
  setInterval(look, LOOK_MS);
  setInterval(beat, BEAT_MS);
  return {
    arm, heard, obey, live, chime, look,
    onChange: (listener) => listeners.push(listener),
    get state() { return state; },
    get reason() { return reason; },
    get heardAt() { return heardAt; },
    get quiet_s() { return quiet_s; },
  };
})();
