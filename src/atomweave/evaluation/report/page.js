
"use strict";
// Every string of a molecule is set with textContent: it is data, whatever it contains.
(() => {
  const molecules = JSON.parse(document.getElementById("molecules").textContent);
  const byId = (id) => document.getElementById(id);
  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  // --- what a molecule is called -------------------------------------------------------------------------------
  const setFormula = (element, molecule) => {
    element.replaceChildren();
    for (const part of (molecule.formula || "nothing grown").match(/\d+|\D+/g)) {
      element.append(/^\d/.test(part) && molecule.formula ? make("sub", part) : part);
    }
  };
  const verdictOf = (molecule) => {
    if (!molecule.valid) return [molecule.reason, "bad"];
    if (molecule.strict) return ["valid", "good"];
    return [molecule.n_fragments > 1 ? `valid, ${molecule.n_fragments} fragments` : "valid, charged or radical", "warn"];
  };

  // --- 3D: two WebGL contexts for any number of molecules ----------------------------------------------------------
  // `painter` draws still pictures that are copied to the cards; `live` moves to the card or dialog being turned.
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const pixelRatio = Math.min(window.devicePixelRatio || 1, 2);
  const makeViewer = (className) => {
    const host = make("div", undefined, className);
    document.body.append(host);
    const viewer = $3Dmol.createViewer(host, { backgroundAlpha: 0, antialias: true, disableFog: true });
    return viewer && viewer.getCanvas() ? { host, viewer, shown: null } : null;
  };
  const style = () => {
    const ours = Object.fromEntries(["C", "H", "N", "O", "F"].map((symbol) => [symbol, css(`--${symbol}`)]));
    const colorscheme = { prop: "elem", map: { ...$3Dmol.elementColors.Jmol, ...ours } };
    return { stick: { radius: 0.12, doubleBondScaling: 0.55, tripleBondScaling: 0.4, colorscheme }, sphere: { scale: 0.22, colorscheme } };
  };
  const atomsOf = (molecule) => {
    const atoms = molecule.symbols.map((elem, i) => ({
      elem, serial: i, x: molecule.positions[3 * i], y: molecule.positions[3 * i + 1], z: molecule.positions[3 * i + 2],
      bonds: [], bondOrder: [],
    }));
    for (let k = 0; k < molecule.bonds.length; k += 3) {
      const [a, b, order] = molecule.bonds.slice(k, k + 3);
      // An aromatic bond (1.5) is drawn as a single one: alternating double bonds would claim too much.
      for (const [from, to] of [[a, b], [b, a]]) {
        atoms[from].bonds.push(to);
        atoms[from].bondOrder.push(Math.floor(order));
      }
    }
    return atoms;
  };
  // zoomTo shows a sphere through the outermost nucleus, of 5 Å at least: a wide margin for small molecules, and none
  // for the atoms at the edge of large ones, which stand nearer to the camera when they are turned.
  const fitting = (positions) => {
    const n = positions.length / 3;
    const middle = [0, 1, 2].map((d) => positions.reduce((sum, x, i) => (i % 3 === d ? sum + x : sum), 0) / n);
    let radius = 0;
    for (let i = 0; i < n; i++) radius = Math.max(radius, Math.hypot(...middle.map((x, d) => positions[3 * i + d] - x)));
    return Math.min(1.12, Math.max(radius, 5) / (1.08 * radius + 0.6));
  };
  const show = (part, molecule) => {
    part.viewer.removeAllModels();
    part.viewer.addModel().addAtoms(atomsOf(molecule));
    part.viewer.setStyle({}, style());
    part.viewer.zoomTo();
    part.viewer.zoom(fitting(molecule.positions));
    if (molecule.view) part.viewer.setView(molecule.view, true);
    else part.viewer.rotate(25, { x: 1, y: 1, z: 0 });
    part.viewer.render();
    part.shown = molecule;
  };
  const copyTo = (part, canvas) => {
    const source = part.viewer.getCanvas();
    canvas.width = source.width;
    canvas.height = source.height;
    canvas.getContext("2d").drawImage(source, 0, 0);
  };

  let painter = null;
  let live = null;
  try {
    painter = makeViewer("painter");
    live = makeViewer("live");
  } catch {
    painter = live = null; // no WebGL: the cards show the 2D structures instead
  }
  if (painter) {
    Object.assign(painter.host.style, { position: "fixed", left: "-9999px", top: "0", width: "240px", height: "240px" });
    painter.viewer.resize();
    live.host.remove();
    document.documentElement.dataset.webgl = "yes";
  }

  const paint = (card) => {
    const { molecule } = card;
    if (!molecule.symbols.length) return;
    if (painter) {
      show(painter, molecule);
      copyTo(painter, card.querySelector("canvas"));
    } else if (molecule.drawing) {
      const picture = make("img");
      picture.src = molecule.drawing;
      picture.alt = "";
      picture.style.width = "100%";
      card.querySelector("canvas").replaceWith(picture);
    }
    card.dataset.painted = "yes";
  };

  // The live viewer leaves a still picture behind, in the orientation in which it was left.
  const settle = () => {
    if (!live || !live.host.isConnected || !live.shown) return;
    live.shown.view = live.viewer.getView();
    const card = live.host.closest(".card");
    live.host.remove();
    if (card) {
      paint(card);
      card.querySelector("canvas").style.visibility = "";
    }
  };
  const bringTo = (stage, molecule) => {
    if (!live || !molecule.symbols.length || live.host.parentElement === stage) return;
    settle();
    stage.append(live.host);
    live.viewer.resize();
    show(live, molecule);
    const still = stage.querySelector("canvas:first-child");
    if (still && !live.host.contains(still)) still.style.visibility = "hidden";
  };

  // --- the wall --------------------------------------------------------------------------------------------------
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && !entry.target.dataset.painted) paint(entry.target);
    }
  }, { rootMargin: "300px" });

  const severalSets = new Set(molecules.map((molecule) => molecule.set)).size > 1;
  const cards = molecules.map((molecule) => {
    const card = byId("card").content.firstElementChild.cloneNode(true);
    const [verdict, tone] = verdictOf(molecule);
    const stage = card.querySelector(".stage");
    card.molecule = molecule;
    card.id = `molecule-${molecule.set_index === undefined ? "" : `${molecule.set_index}-`}${molecule.index}`;
    setFormula(card.querySelector(".formula"), molecule);
    card.querySelector(".verdict").textContent = verdict;
    card.querySelector(".verdict").classList.add(tone);
    card.querySelector(".verdict").title = molecule.detail || verdict;
    card.querySelector(".smiles").textContent = `#${molecule.index}  ${molecule.name || shortSmiles(molecule)}`;
    if (severalSets) {
      const mark = make("span", undefined, `swatch set-${molecule.set_index % 8}`);
      mark.title = molecule.set;
      card.querySelector(".smiles").prepend(mark);
    }
    if (!molecule.symbols.length) {
      stage.classList.add("flat");
      stage.dataset.note = "no atoms to show";
    }
    stage.addEventListener("pointerenter", () => bringTo(stage, molecule));
    stage.addEventListener("pointerdown", () => bringTo(stage, molecule));
    stage.addEventListener("pointerleave", (event) => event.buttons || settle());
    // The wheel scrolls the page; it zooms only in the dialog.
    stage.addEventListener("wheel", (event) => event.stopPropagation(), { capture: true, passive: true });
    stage.addEventListener("dblclick", () => open(molecule));
    card.querySelector(".open").addEventListener("click", () => open(molecule));
    return card;
  });
  byId("wall").append(...cards);

  function shortSmiles(molecule) {
    // Explicit hydrogens make the canonical SMILES long; the card shows the heavy skeleton, the dialog all of it.
    return molecule.smiles.replace(/\(\[H\]\)|\[H\]/g, "") || molecule.smiles;
  }

  // --- filters ---------------------------------------------------------------------------------------------------
  // Each is a test that a molecule must pass; the choice stands in the address, so that a view can be passed on.
  const isNovel = (molecule) => (molecule.columns || {}).novel;
  const verdicts = {
    all: ["all", () => true],
    valid: ["valid", (m) => m.valid],
    strict: ["connected and neutral", (m) => m.strict],
    loose: ["charged, radical or in pieces", (m) => m.valid && !m.strict],
    novel: ["novel", (m) => isNovel(m) === true],
    known: ["in the training data", (m) => isNovel(m) === false],
    invalid: ["invalid", (m) => !m.valid],
  };
  const distinct = (values) => [...new Set(values)];
  const rings = distinct(molecules.flatMap((m) => m.rings)).sort((a, b) => a - b);
  const elements = distinct(molecules.flatMap((m) => m.symbols)).sort();
  const sets = distinct(molecules.map((m) => m.set).filter((name) => name !== undefined));
  const orders = {
    number: ["by number", (a, b) => a.place - b.place],
    small: ["fewest atoms first", (a, b) => a.symbols.length - b.symbols.length || a.place - b.place],
    large: ["most atoms first", (a, b) => b.symbols.length - a.symbols.length || a.place - b.place],
  };
  molecules.forEach((molecule, place) => { molecule.place = place; });
  const choices = {
    set: { label: "set", any: "all sets", options: sets.length > 1 ? sets.map((name, i) => [String(i), name]) : [],
      test: (m, value) => m.set === sets[value] },
    ring: { label: "ring", any: "any rings", options: rings.length ? [["none", "no ring"], ...rings.map((size) => [String(size), `ring of ${size}`])] : [],
      test: (m, value) => (value === "none" ? m.valid && !m.rings.length : m.rings.includes(Number(value))) },
    element: { label: "element", any: "any elements", options: elements.map((symbol) => [symbol, `with ${symbol}`]),
      test: (m, value) => m.symbols.includes(value) },
  };
  const start = { verdict: "all", reason: "", set: "", ring: "", element: "", search: "", sort: "number" };
  const chosen = { ...start };

  const chip = (group, label, count, isPressed, choose) => {
    const button = make("button", label);
    button.type = "button";
    button.append(make("span", String(count)));
    button.isPressed = isPressed;
    button.addEventListener("click", () => {
      choose();
      apply();
    });
    group.append(button);
  };
  for (const [key, [label, test]] of Object.entries(verdicts)) {
    const count = molecules.filter(test).length;
    if (!count && ["loose", "novel", "known"].includes(key)) continue;
    chip(byId("verdicts"), label, count, () => chosen.verdict === key && !chosen.reason, () => {
      chosen.verdict = key;
      chosen.reason = "";
    });
  }
  const reasons = new Map();
  for (const molecule of molecules) {
    if (molecule.reason) reasons.set(molecule.reason, (reasons.get(molecule.reason) || 0) + 1);
  }
  for (const [reason, count] of [...reasons].sort((a, b) => b[1] - a[1])) {
    chip(byId("reasons"), reason, count, () => chosen.reason === reason, () => {
      chosen.verdict = chosen.reason === reason ? "all" : "invalid";
      chosen.reason = chosen.reason === reason ? "" : reason;
    });
  }
  const choice = (key, label, options) => {
    const select = make("select");
    select.id = `choice-${key}`;
    select.setAttribute("aria-label", label);
    for (const [value, text] of options) {
      const option = make("option", text);
      option.value = value;
      select.append(option);
    }
    select.addEventListener("change", () => {
      chosen[key] = select.value;
      apply();
    });
    byId("choices").append(select);
  };
  for (const [key, { label, any, options }] of Object.entries(choices)) {
    if (options.length) choice(key, `Filter by ${label}`, [["", any], ...options]);
  }
  choice("sort", "Order", Object.entries(orders).map(([key, [label]]) => [key, label]));

  const textOf = (m) => [m.formula, m.smiles, shortSmiles(m), m.name].join("\n").toLowerCase();
  const passes = (molecule) => {
    const wanted = chosen.search.trim().toLowerCase();
    return verdicts[chosen.verdict][1](molecule) && (!chosen.reason || molecule.reason === chosen.reason)
      && Object.entries(choices).every(([key, { test }]) => !chosen[key] || test(molecule, chosen[key]))
      && (!wanted || textOf(molecule).includes(wanted) || String(molecule.index) === wanted.replace("#", ""));
  };
  let order = "number";
  const apply = () => {
    settle();
    let count = 0;
    for (const card of cards) {
      card.hidden = !passes(card.molecule);
      count += !card.hidden;
    }
    if (chosen.sort !== order) {
      order = chosen.sort;
      byId("wall").append(...[...cards].sort((a, b) => orders[order][1](a.molecule, b.molecule)));
    }
    for (const button of document.querySelectorAll(".chips button")) {
      button.setAttribute("aria-pressed", String(button.isPressed()));
    }
    byId("shown").textContent = `${count} of ${molecules.length} shown`;
    byId("none").hidden = count > 0;
    const differing = Object.entries(chosen).filter(([key, value]) => value !== start[key]);
    if (differing.length || isView(location.hash)) {
      history.replaceState(null, "", `#${new URLSearchParams(differing)}`);
    }
  };
  const isView = (hash) => /^#\w+=/.test(hash);
  const read = () => {
    const wanted = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    for (const key of Object.keys(start)) chosen[key] = wanted[key] || start[key];
    if (!Object.hasOwn(verdicts, chosen.verdict)) chosen.verdict = start.verdict;
    if (!Object.hasOwn(orders, chosen.sort)) chosen.sort = start.sort;
    byId("search").value = chosen.search;
    for (const key of [...Object.keys(choices), "sort"]) {
      const select = byId(`choice-${key}`);
      if (select) select.value = chosen[key];
    }
    apply();
    byId("molecules-wall").scrollIntoView();
  };
  byId("search").addEventListener("input", (event) => {
    chosen.search = event.target.value;
    apply();
  });
  addEventListener("hashchange", () => isView(location.hash) && read());
  if (isView(location.hash)) read();
  else apply();
  cards.forEach((card) => seen.observe(card));

  // --- one molecule, larger ----------------------------------------------------------------------------------------
  const dialog = byId("closer");
  const said = (value) => (value === true ? "yes" : value === false ? "no" : value);
  function open(molecule) {
    const [verdict, tone] = verdictOf(molecule);
    setFormula(byId("closer-formula"), molecule);
    byId("closer-verdict").textContent = verdict;
    byId("closer-verdict").className = `verdict ${tone}`;
    byId("closer-drawing").hidden = !molecule.drawing;
    if (molecule.drawing) byId("closer-drawing").src = molecule.drawing;
    const facts = [
      ["set", molecule.set || ""], ["attempt", molecule.index], ["name", molecule.name], ["atoms", molecule.symbols.length],
      ["finished", said(molecule.finished)], ["why invalid", molecule.detail], ["rings of", molecule.rings.join(", ")],
      ["fragments", molecule.n_fragments || ""], ["SMILES", molecule.smiles],
      ...Object.entries(molecule.columns || {}).map(([name, value]) => [name, said(value)]),
    ];
    byId("closer-list").replaceChildren(...facts.filter(([, value]) => value !== "").flatMap(([name, value]) => [
      make("dt", name), make("dd", String(value), name === "SMILES" ? "code" : ""),
    ]));
    dialog.showModal();
    bringTo(byId("closer-stage"), molecule);
  }
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", settle);

  // --- long tables: the rows of a group stay folded until asked for; without scripts and on paper all are shown -----
  for (const body of document.querySelectorAll("tbody[data-foldable]")) {
    const rows = body.querySelectorAll("tr.detail").length;
    const heading = body.querySelector("tr.group span");
    if (rows < 3 || !heading) continue;
    const button = make("button", heading.textContent, "fold");
    button.type = "button";
    button.append(make("span", `${rows} rows`, "quiet"));
    const fold = (folded) => {
      body.toggleAttribute("data-folded", folded);
      button.setAttribute("aria-expanded", String(!folded));
    };
    button.addEventListener("click", () => fold(!body.hasAttribute("data-folded")));
    heading.replaceWith(button);
    fold(true);
  }

  // The colours of carbon and hydrogen follow the page's theme.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    settle();
    for (const card of cards) if (card.dataset.painted) paint(card);
  });
})();
