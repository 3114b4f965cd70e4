"use strict";
/* Shows the checks. Every text goes in as a text node: nothing from an artefact is ever markup. */
(() => {
  const holder = document.getElementById("audit-data");
  if (!holder) return;
  const data = JSON.parse(holder.textContent);
  const CHUNK = 150;
  const PRINTED = 1000;
  const OPEN_IN_PRINT = 4; // failed, error, warned, noted
  const FINDINGS = new Set(["failed", "warned"]);
  const SVG = "http://www.w3.org/2000/svg";
  const several = data.subjects.length > 1;
  const [RULE, SUBJECT, OUTCOME, SEVERITY, OBSERVED, EXPECTED, WHERE, BLOCKED, WAIVER, KNOWN, FIX, CAUSED] =
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
  const ruleIds = new Map(data.rules.map((rule, index) => [rule.id, index]));
  const find = (id) => document.getElementById(id);
  const textOf = (row, field) => data.strings[row[field]];

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function prose(text) {
    const parts = text.split("`");
    if (parts.length % 2 === 0) return [text];
    return parts.map((part, index) => (index % 2 ? make("code", {}, part) : part));
  }

  function icon(name) {
    const image = document.createElementNS(SVG, "svg");
    const use = document.createElementNS(SVG, "use");
    use.setAttribute("href", "#i-" + name);
    image.setAttribute("class", "icon");
    image.setAttribute("aria-hidden", "true");
    image.append(use);
    return image;
  }

  const ruleLink = (id) => make("a", { href: "#rule-" + id, class: "rule" }, id);

  function described(list, name, ...content) {
    if (content.length && content.some((part) => part !== ""))
      list.append(make("dt", {}, name), make("dd", {}, ...content));
  }

  function links(ids) {
    const shown = ids.map((id) => (ruleIds.has(id) ? ruleLink(id) : id));
    return shown.flatMap((part, index) => (index ? [", ", part] : [part]));
  }

  // What the audit found on one subject that a finding explains, or is explained by.
  function describeFindings(list, row) {
    const isFinding = (each) => FINDINGS.has(data.outcomes[each[OUTCOME]][0]);
    if (!isFinding(row)) return;
    const found = data.rows.filter((each) => each[SUBJECT] === row[SUBJECT] && isFinding(each));
    const causes = (one, other) => textOf(one, CAUSED).split(" ").includes(data.rules[other[RULE]].id);
    const checks = (wanted) => found.filter(wanted).map((each) => data.rules[each[RULE]])
      .flatMap((each, index) => [...(index ? [", "] : []), make("a", {
        href: `#check-${row[SUBJECT]}-${each.id}`, class: "rule" }, each.id)]);
    described(list, "Explains", ...checks((each) => causes(row, each)));
    described(list, "Explained by", ...checks((each) => causes(each, row)));
  }

  function describeRelations(list, rule) {
    const explainedBy = data.rules.filter((other) => other.explains.includes(rule.id));
    described(list, "Requires", ...links(rule.requires));
    described(list, "Explains", ...links(rule.explains));
    described(list, "Explained by", ...links(explainedBy.map((other) => other.id)));
  }

  // The table of checks

  const chosen = { outcomes: new Set(data.outcomes.keys()), family: "", severity: "", subject: "", query: "" };
  let matching = [];
  let shown = 0;
  let body = null;
  const haystacks = [];

  function haystack(number) {
    if (haystacks[number] === undefined) {
      const row = data.rows[number];
      const rule = data.rules[row[RULE]];
      const texts = [rule.id, rule.name, rule.summary, data.subjects[row[SUBJECT]]];
      for (const field of [OBSERVED, EXPECTED, WHERE, WAIVER]) texts.push(textOf(row, field));
      haystacks[number] = texts.join("\n").toLowerCase();
    }
    return haystacks[number];
  }

  function matches(number) {
    const row = data.rows[number];
    return chosen.outcomes.has(row[OUTCOME])
      && (chosen.family === "" || data.rules[row[RULE]].family === chosen.family)
      && (chosen.severity === "" || data.severities[row[SEVERITY]] === chosen.severity)
      && (chosen.subject === "" || row[SUBJECT] === Number(chosen.subject))
      && (chosen.query === "" || haystack(number).includes(chosen.query));
  }

  function rowElement(number) {
    const row = data.rows[number];
    const rule = data.rules[row[RULE]];
    const [value, label] = data.outcomes[row[OUTCOME]];
    const toggle = make("button", {
      type: "button", class: "toggle o-" + value, "aria-expanded": "false",
      "aria-label": `${label}, ${rule.id} ${rule.name}${several ? ", " + data.subjects[row[SUBJECT]] : ""}: details`,
    }, icon(value), label);
    const name = make("th", { scope: "row", role: "rowheader", class: "c-check" },
      make("b", {}, rule.id), " ", rule.name);
    if (several) name.append(make("span", {}, data.subjects[row[SUBJECT]]));
    const cell = (css, ...content) => make("td", { role: "cell", class: css }, ...content);
    const clamped = (field) => make("div", { class: "clamp" }, ...prose(textOf(row, field)));
    return make("tr", {
      role: "row", class: "row", id: `check-${row[SUBJECT]}-${rule.id}`, "data-number": number,
    }, cell("c-outcome", toggle), name, cell("c-observed", clamped(OBSERVED)),
      cell("c-expected", clamped(EXPECTED)), cell("c-severity", data.severities[row[SEVERITY]]));
  }

  function detailElement(number) {
    const row = data.rows[number];
    const rule = data.rules[row[RULE]];
    const [outcome] = data.outcomes[row[OUTCOME]];
    const broke = outcome === "error";
    const list = make("dl", { class: "details" });
    described(list, "Rule", ...prose(rule.summary));
    described(list, "Observed", ...prose(textOf(row, OBSERVED)));
    described(list, "Expected", ...prose(textOf(row, EXPECTED)));
    described(list, "Where", textOf(row, WHERE));
    const blocker = textOf(row, BLOCKED);
    described(list, "Blocked by", ruleIds.has(blocker) ? ruleLink(blocker) : blocker);
    described(list, "Waived", textOf(row, WAIVER));
    described(list, "Known", textOf(row, KNOWN));
    described(list, "Why", ...prose(broke ? data.broken.why : rule.why));
    if (outcome === "no_evidence") described(list, "What would help", ...prose(textOf(row, FIX)));
    else described(list, "Fix", ...prose(broke ? data.broken.fix : textOf(row, FIX) || rule.fix));
    described(list, "Evidence", ...prose(rule.evidence));
    described(list, "Source", ...prose(rule.source));
    describeFindings(list, row);
    described(list, "Page", ruleLink(rule.id));
    return make("tr", { role: "row", class: "detail" }, make("td", { role: "cell", colspan: "5" }, list));
  }

  function setOpen(row, open) {
    const toggle = row.querySelector(".toggle");
    if ((toggle.getAttribute("aria-expanded") === "true") === open) return;
    toggle.setAttribute("aria-expanded", String(open));
    if (open) row.after(detailElement(Number(row.dataset.number)));
    else row.nextElementSibling.remove();
  }

  function showMore(count) {
    const next = matching.slice(shown, shown + count);
    body.append(...next.map(rowElement));
    shown += next.length;
    const left = matching.length - shown;
    find("load").hidden = left === 0;
    find("load-some").textContent = `Show ${Math.min(left, CHUNK)} more of ${left.toLocaleString("en")}`;
  }

  function refresh() {
    matching = [];
    for (let number = 0; number < data.rows.length; number++) if (matches(number)) matching.push(number);
    shown = 0;
    body.replaceChildren();
    showMore(CHUNK);
    find("none").hidden = matching.length > 0;
    const total = data.rows.length.toLocaleString("en");
    find("shown").textContent = matching.length === data.rows.length
      ? `${total} in all` : `${matching.length.toLocaleString("en")} of ${total}`;
  }

  function buildTable() {
    const heads = [["c-outcome", "Outcome"], ["c-check", "Check"], ["c-observed", "Observed"],
      ["c-expected", "Expected"], ["c-severity", "Severity"]];
    const row = make("tr", { role: "row" }, ...heads.map(([css, name]) =>
      make("th", { scope: "col", role: "columnheader", class: css }, name)));
    body = make("tbody", { role: "rowgroup" });
    const table = make("table", { role: "table", class: "check-table", "aria-labelledby": "checks" },
      make("thead", { role: "rowgroup" }, row), body);
    const none = make("p", { id: "none", hidden: "" }, "No check matches these filters.");
    const load = make("p", { id: "load", class: "load", hidden: "" },
      make("button", { type: "button", id: "load-some" }));
    find("table").append(table, none, load);
    find("load-some").addEventListener("click", () => showMore(CHUNK));
    body.addEventListener("click", (event) => {
      const clicked = event.target.closest(".row");
      if (!clicked || event.target.closest("a") || String(getSelection())) return;
      setOpen(clicked, clicked.querySelector(".toggle").getAttribute("aria-expanded") !== "true");
    });
  }

  // Filters

  function setOutcomes(wanted) {
    chosen.outcomes = new Set(wanted);
    for (const chip of find("outcome-filter").querySelectorAll(".chip"))
      chip.setAttribute("aria-pressed", String(chosen.outcomes.has(Number(chip.dataset.index))));
  }

  function buildChips() {
    data.outcomes.forEach(([value, label], index) => {
      const count = data.rows.reduce((sum, row) => sum + (row[OUTCOME] === index ? 1 : 0), 0);
      if (!count) return;
      const chip = make("button", { type: "button", class: "chip", "aria-pressed": "true", "data-index": index },
        make("span", { class: "o-" + value }, icon(value)), `${label} ${count.toLocaleString("en")}`);
      chip.addEventListener("click", () => {
        const wanted = new Set(chosen.outcomes);
        if (!wanted.delete(index)) wanted.add(index);
        setOutcomes(wanted);
        refresh();
      });
      find("outcome-filter").append(chip);
    });
  }

  function buildFilters() {
    const form = find("filters");
    buildChips();
    const families = [...new Set(data.rules.map((rule) => rule.family))];
    for (const family of families)
      form.family.append(make("option", { value: family },
        Object.hasOwn(data.families, family) ? `${family}, ${data.families[family]}` : family));
    for (const severity of data.severities) form.severity.append(make("option", { value: severity }, severity));
    if (several) data.subjects.forEach((name, index) =>
      form.subject.append(make("option", { value: index }, name)));
    let waiting = 0;
    form.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        for (const name of ["family", "severity", "subject"]) chosen[name] = form[name] ? form[name].value : "";
        chosen.query = form.query.value.trim().toLowerCase();
        refresh();
      }, 80);
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", showAll);
    form.hidden = false;
  }

  function showAll() {
    Object.assign(chosen, { family: "", severity: "", subject: "", query: "" });
    setOutcomes(data.outcomes.keys());
    refresh();
  }

  // Rule pages

  function fillPage(page, rule) {
    if (page.childElementCount > 1) return;
    const list = make("dl", { class: "details" });
    for (const [name, field] of [["Summary", "summary"], ["Why", "why"], ["Fix", "fix"], ["Evidence", "evidence"], ["Source", "source"]])
      described(list, name, ...prose(rule[field]));
    describeRelations(list, rule);
    page.append(list);
  }

  function buildPages() {
    if (find("pages").childElementCount) return;
    const built = document.createDocumentFragment();
    let family = "";
    for (const rule of data.rules) {
      if (rule.family !== family) {
        family = rule.family;
        const title = Object.hasOwn(data.families, family) ? data.families[family] : "";
        built.append(make("h3", {}, title ? `${family}, ${title}` : family));
      }
      const page = make("details", { id: "rule-" + rule.id },
        make("summary", {}, make("b", {}, rule.id), " " + rule.name));
      page.addEventListener("toggle", () => page.open && fillPage(page, rule));
      built.append(page);
    }
    find("pages").append(built);
  }

  // Links inside the page

  function openCheck(id) {
    const number = data.rows.findIndex((row) => `check-${row[SUBJECT]}-${data.rules[row[RULE]].id}` === id);
    if (number < 0) return;
    if (!matching.includes(number)) {
      find("filters").reset();
      showAll();
    }
    const place = matching.indexOf(number);
    if (place >= shown) showMore(place + 1 - shown);
    const row = find(id);
    setOpen(row, true);
    row.scrollIntoView({ block: "start" });
    row.querySelector(".toggle").focus({ preventScroll: true });
  }

  function follow() {
    const id = location.hash.slice(1);
    if (id.startsWith("check-")) openCheck(id);
    if (id.startsWith("rule-")) buildPages();
    const page = id.startsWith("rule-") ? find(id) : null;
    if (page) {
      page.open = true;
      fillPage(page, data.rules[ruleIds.get(id.slice(5))]);
      page.scrollIntoView({ block: "start" });
      page.querySelector("summary").focus({ preventScroll: true });
    }
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link) return;
    if (link.dataset.outcome) {
      setOutcomes([data.outcomes.findIndex(([value]) => value === link.dataset.outcome)]);
      refresh();
    } else if (link.hash === location.hash) follow();
  });
  addEventListener("hashchange", follow);

  // Print: findings and explanations open

  let opened = [];
  function beforePrint() {
    if (opened.length) return;
    if (shown < Math.min(matching.length, PRINTED)) showMore(Math.min(matching.length, PRINTED) - shown);
    const rows = [...body.querySelectorAll(".row")].filter((row) =>
      data.rows[row.dataset.number][OUTCOME] < OPEN_IN_PRINT
      && row.querySelector(".toggle").getAttribute("aria-expanded") === "false");
    rows.forEach((row) => setOpen(row, true));
    const folded = [...document.querySelectorAll("details.print-open:not([open])")];
    folded.forEach((element) => { element.open = true; });
    opened = [() => rows.forEach((row) => row.isConnected && setOpen(row, false)),
      () => folded.forEach((element) => { element.open = false; })];
  }
  function afterPrint() {
    opened.forEach((close) => close());
    opened = [];
  }
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", afterPrint);

  buildTable();
  buildFilters();
  refresh();
  follow();
  // They are below everything else: a reader need not wait for them.
  requestAnimationFrame(() => setTimeout(buildPages));
})();
