// Asks the unit every two seconds and writes what it says into the page. Texts come from services and pools: they are only ever set as text.
"use strict";

const EVERY_MS = 2000;
const PATIENCE_MS = 6000;
const CHIPS_EVERY_MS = 10000;
const SOURCES = { dhcp: "DHCP", static: "configuration" };
const STATES = { hashing: "Hashing", not_hashing: "Not hashing", unknown: "Not known" };
const byId = (id) => document.getElementById(id);

// An unchanged text is left alone: a screen reader would say it again.
function show(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

const known = (value, text) => (value === null || value === undefined || value === "" ? "–" : text(value));
const count = (value) => known(value, (number) => number.toLocaleString("en"));

function scaled(value, unit) {
  const prefixes = ["", "k", "M", "G", "T", "P", "E"];
  let step = 0;
  while (value >= 1000 && step < prefixes.length - 1) {
    value /= 1000;
    step += 1;
  }
  const digits = step === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${prefixes[step]}${unit}`.trim();
}

// Shares of test pools are worth less than 1.
const difficulty = (value) => (value > 0 && value < 1 ? value.toPrecision(2) : scaled(value, ""));

function duration(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

function verdict(state, reason) {
  byId("verdict").className = state;
  show("state", STATES[state] ?? STATES.unknown);
  show("reason", reason);
}

function problems(list) {
  const element = byId("problems");
  const items = list.map((text) => Object.assign(document.createElement("li"), { textContent: text }));
  if (element.textContent !== list.join("")) element.replaceChildren(...items);
  element.hidden = list.length === 0;
}

// Chips that count only wrong hashes leave nothing to compare them with.
const share = (part, all) => (all > 0 ? `${((100 * part) / all).toFixed(2)} %` : scaled(part, ""));
const celsius = (value) => known(value, (celsius) => `${celsius.toFixed(1)} °C`);

function chains(list) {
  const rows = list.map((chain) => {
    const cells = [
      `${chain.chain}`,
      celsius(chain.chip_celsius),
      celsius(chain.die_celsius),
      `${chain.chips_found} of ${chain.chips_expected}`,
      known(chain.clock_megahertz, (clock) => `${clock.toFixed(0)} MHz`),
      count(chain.crc_errors),
      known(chain.chip_hashes_wrong, (wrong) => share(wrong, chain.chip_hashes)),
      chain.chip,
    ];
    const row = document.createElement("tr");
    row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  });
  byId("chains").replaceChildren(...rows);
}

// Chips of one chain find equally many, but for chance: it spreads n nonces by about their square root. What lies within four times that is nobody's fault.
function verdicts(chips) {
  const found = chips.filter((chip) => chip.found);
  const mean = found.reduce((sum, chip) => sum + chip.nonces, 0) / Math.max(found.length, 1);
  return chips.map((chip) => {
    if (!chip.found) return "missing";
    if (mean < 16) return "";
    const behind = mean - chip.nonces > 4 * Math.sqrt(mean);
    return behind && chip.nonces < 0.5 * mean ? "bad" : behind && chip.nonces < 0.8 * mean ? "weak" : "good";
  });
}

function strip(chain) {
  const states = verdicts(chain.chips);
  const row = Object.assign(document.createElement("div"), { className: "strip" });
  row.setAttribute("aria-hidden", "true");
  row.append(...chain.chips.map((chip, place) => {
    const facts = [`chip ${chip.place}`, chip.found ? `${count(chip.nonces)} nonces` : "does not answer"];
    if (chip.die_celsius !== null) facts.push(celsius(chip.die_celsius));
    if (chip.hashes_wrong) facts.push(`${scaled(chip.hashes_wrong, "")} wrong hashes`);
    return Object.assign(document.createElement("i"), { className: states[place], title: facts.join(", ") });
  }));
  const named = (state, text) => {
    const chips = chain.chips.filter((_, place) => states[place] === state).map((chip) => chip.place);
    const more = chips.length > 8 ? ` and ${chips.length - 8} more` : "";
    return chips.length > 0 ? `; ${text}: ${chips.slice(0, 8).join(", ")}${more}` : "";
  };
  const dies = chain.chips.map((chip) => chip.die_celsius).filter((die) => die !== null);
  const range = dies.length > 1 ? `; dies ${Math.min(...dies).toFixed(0)} to ${Math.max(...dies).toFixed(0)} °C` : "";
  const text = `Chain ${chain.chain}: ${chain.chips.length} ${chain.chip}${range}${named("missing", "no answer")}${named("bad", "less than half")}${named("weak", "weak")}`;
  return [row, Object.assign(document.createElement("p"), { textContent: text })];
}

// A single chip has no neighbours to be compared with; where none answers the chain is off, and says so elsewhere.
function strips(list) {
  const chains = (list ?? []).filter((chain) => chain.chips.length > 1 && chain.chips.some((chip) => chip.found));
  byId("strips").hidden = chains.length === 0;
  byId("chips").replaceChildren(...chains.flatMap(strip));
}

let chipsAsked = -CHIPS_EVERY_MS;
async function askChips() {
  const now = performance.now();
  if (now - chipsAsked < CHIPS_EVERY_MS) return;
  chipsAsked = now;
  const answer = await fetch("/api/v1/chips", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.ok) strips((await answer.json()).chains);
}

// Of the boards that measure it.
function watts(boards) {
  const known = boards.map((board) => board.watts).filter((watts) => watts !== null);
  return known.length > 0 ? known.reduce((sum, watts) => sum + watts, 0) : null;
}

const where = (part) => (part.board === null ? part.name : `${part.name} (board ${part.board})`);
const sensor = (sensor) => `${where(sensor)} ${sensor.celsius === null ? sensor.state : celsius(sensor.celsius)}`;
const board = (board) => `${board.board} ${board.name}: ${board.reason ? `${board.state}, ${board.reason}` : board.state}`;

function render(status) {
  const { miner, hardware, network, unit } = status;
  document.body.classList.remove("outdated");
  verdict(status.state, status.reason);
  problems([...status.problems, ...(hardware?.faults ?? []).map((fault) => fault.text).filter((text) => !status.reason.includes(text))]);

  const rate = known(miner?.hash_rate_hashes_per_second, (rate) => scaled(rate, "H/s"));
  document.title = `${STATES[status.state] ?? STATES.unknown} · Adit`;
  show("hash-rate", rate);
  show("accepted", count(miner?.shares_accepted));
  show("rejected", count(miner?.shares_rejected));
  show("stale", count(miner?.shares_stale));
  show("best", known(miner?.best_share_difficulty, difficulty));
  show("blocks", count(miner?.blocks_accepted));
  show("pool", known(miner?.pool_url, (url) => url));

  show("machine", hardware?.machine ?? "");
  byId("simulated").hidden = !hardware?.simulated;
  byId("untested").hidden = !hardware?.untested;
  show("stage", known(hardware?.stage, (stage) => stage));
  show("rail", known(hardware?.rail_volts, (volts) => `${volts.toFixed(2)} V`));
  show("fans", known((hardware?.fans ?? []).map((fan) => `${fan.speed_rpm} rpm`).join(", "), (fans) => fans));
  show("watts", known(watts(hardware?.boards ?? []), (watts) => `${watts.toFixed(1)} W`));
  show("sensors", known((hardware?.sensors ?? []).map(sensor).join(", "), (sensors) => sensors));
  show("boards", known((hardware?.boards ?? []).map(board).join(", "), (boards) => boards));
  chains(hardware?.chains ?? []);

  const list = (addresses) => known((addresses ?? []).join(", "), (text) => text);
  show("local-name", known(network?.local_name ?? network?.host_name, (name) => name));
  show("addresses", list(network?.addresses));
  show("source", known(network?.source, (source) => SOURCES[source] ?? source));
  show("mac", known(network?.mac, (mac) => mac));
  show("gateways", list(network?.gateways));
  show("dns", list(network?.dns));

  show("uptime", duration(unit.uptime_seconds));
  show("slot", known(unit.slot, (slot) => slot.toUpperCase()));
  show("board", known(unit.board, (board) => board));
  show("version", known(unit.version, (version) => version));
}

async function ask() {
  try {
    const answer = await fetch("/api/v1/status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(`answer ${answer.status}`);
    render(await answer.json());
    askChips().catch(() => {});
  } catch {
    document.body.classList.add("outdated");
    document.title = "No answer · Adit";
    verdict("unknown", "The unit does not answer; the numbers below are old.");
  }
}

async function keepAsking() {
  for (;;) {
    if (!document.hidden) await ask();
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) ask();
});
keepAsking();
