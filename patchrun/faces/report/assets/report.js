"use strict";
// Sorting, filtering and finding. Words of strangers go into text nodes only; nothing here makes markup from text.
(() => {
  const PAGE = 100;
  const collator = new Intl.Collator("en", { numeric: true });

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell === undefined ? "" : (cell.dataset.value ?? cell.textContent.trim());
  };
  const isEmpty = (value) => value === null || value === "" || value === "–";
  const compare = (a, b) => {
    if (isEmpty(a) || isEmpty(b)) return 0;
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? collator.compare(String(a), String(b)) : x - y;
  };
  // What has no value stays at the end, whichever way it is sorted.
  const order = (a, b, sign) => (isEmpty(a) - isEmpty(b)) || sign * compare(a, b);

  const addSorters = (table, sort) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.classList.contains("r") && column > 0 ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const now = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", now);
        sort(column, now === "ascending" ? 1 : -1);
      });
    });
  };

  document.querySelectorAll("table.sortable").forEach((table) => {
    const body = table.tBodies[0];
    addSorters(table, (column, sign) => {
      const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
      rows.sort((a, b) => order(a[0], b[0], sign));
      body.append(...rows.map((pair) => pair[1]));
    });
  });

  // A browser that goes back fills the fields again after the script ran: hence pageshow.
  const listen = (form, apply) => {
    form.addEventListener("input", apply);
    form.addEventListener("change", apply);
    window.addEventListener("pageshow", apply);
  };

  const filterBoards = (form) => {
    const { agent, record, verdict } = form.elements;
    const output = form.querySelector("output");
    const apply = () => {
      let shown = 0, total = 0;
      document.querySelectorAll(".board [data-record]").forEach((cell) => {
        cell.hidden = record.value !== "" && cell.dataset.record !== record.value;
      });
      document.querySelectorAll(".board tbody tr").forEach((row) => {
        const cells = [...row.querySelectorAll("td[data-verdict]")].filter((cell) =>
          (record.value === "" || cell.dataset.record === record.value) &&
          (verdict.value === "" || cell.dataset.verdict === verdict.value));
        const asked = record.value !== "" || verdict.value !== "";
        const name = row.querySelector("th").textContent.toLowerCase();
        row.hidden = !name.includes(agent.value.trim().toLowerCase()) || (asked && cells.length === 0);
        total += 1;
        shown += row.hidden ? 0 : 1;
      });
      output.textContent = `${shown} of ${total} agents`;
    };
    listen(form, apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    apply();
  };

  const makeCell = (row, words, name, href) => {
    const cell = row.insertCell();
    if (name) cell.className = name;
    let into = cell;
    if (href && /^(submission|agent|record)\/[0-9a-f-]+\.html$/.test(href)) {
      into = document.createElement("a");
      into.href = href;
      cell.append(into);
    }
    into.textContent = words;
    return cell;
  };

  const findSubmissions = (form, parts) => {
    const [ID, AT, AGENT, RECORD, TIERS, VERDICT, FSR, LOW, HIGH, SECONDS, DAY] = Array(11).keys();
    const table = document.getElementById("found"), more = document.getElementById("more");
    const output = form.querySelector("output"), body = table.tBodies[0];
    const agents = parts.flatMap((part) => part.agents);
    const rows = parts.flatMap((part) => part.rows.map((row) => row.with(AGENT, part.agents[row[AGENT]])));
    const agentOf = (row) => row[AGENT][0];
    const pageOf = (row) => row[AT] || `submission/${row[ID]}.html`;
    const texts = new Map(rows.map((row) =>
      [row, [row[ID], agentOf(row), `record ${row[RECORD]}`, row[VERDICT], row[DAY]].join(" ").toLowerCase()]));
    const fill = (select, column) => {
      const values = [...new Set(rows.map((row) => row[column]))].sort(collator.compare);
      values.forEach((value) => select.append(new Option(value, value)));
    };
    fill(form.elements.record, RECORD);
    fill(form.elements.verdict, VERDICT);
    fill(form.elements.tiers, TIERS);
    const names = form.querySelector("datalist");
    new Set(agents.map((agent) => agent[0]).slice(0, 500)).forEach((agent) => names.append(new Option(agent)));

    let found = rows, sorting = null, limit = PAGE;
    const draw = () => {
      body.replaceChildren();
      found.slice(0, limit).forEach((one) => {
        const row = body.insertRow();
        makeCell(row, one[ID].slice(0, 12), "", pageOf(one));
        makeCell(row, agentOf(one), "name", one[AGENT][1]);
        makeCell(row, one[RECORD], "r", `record/${one[RECORD].replace("..", "-")}.html`);
        makeCell(row, one[TIERS]);
        const badge = document.createElement("span");
        badge.className = `badge v-${one[VERDICT]}`;
        badge.textContent = one[VERDICT];
        makeCell(row, "").append(badge);
        makeCell(row, one[FSR] === null ? "–" : one[FSR].toFixed(3), "r");
        makeCell(row, one[LOW] === null ? "–" : `${one[LOW].toFixed(3)} to ${one[HIGH].toFixed(3)}`);
        makeCell(row, one[SECONDS] === null ? "–" : one[SECONDS].toFixed(3), "r");
        makeCell(row, one[DAY]);
      });
      more.hidden = found.length <= limit;
      output.textContent = `${found.length} of ${rows.length} submissions` + (more.hidden ? "" : `, ${limit} shown`);
    };
    const search = () => {
      const { text, agent, record, verdict, tiers } = form.elements;
      const words = text.value.toLowerCase().split(/\s+/).filter(Boolean), part = agent.value.trim().toLowerCase();
      found = rows.filter((row) =>
        words.every((word) => texts.get(row).includes(word)) && agentOf(row).toLowerCase().includes(part) &&
        (record.value === "" || row[RECORD] === record.value) &&
        (verdict.value === "" || row[VERDICT] === verdict.value) &&
        (tiers.value === "" || row[TIERS] === tiers.value));
      if (sorting) found.sort((a, b) => order(sorting.value(a), sorting.value(b), sorting.sign));
      limit = PAGE;
      draw();
    };
    const columns = [ID, AGENT, RECORD, TIERS, VERDICT, FSR, LOW, SECONDS, DAY];
    addSorters(table, (column, sign) => {
      const key = columns[column];
      sorting = { sign, value: key === AGENT ? agentOf : (row) => row[key] };
      search();
    });
    more.addEventListener("click", () => { limit += PAGE; draw(); });
    listen(form, search);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = table.hidden = false;
    const asked = new URLSearchParams(location.hash.slice(1)).get("q");
    if (asked) form.elements.text.value = asked;
    search();
  };

  const boards = document.getElementById("board-filters");
  if (boards) filterBoards(boards);
  const finder = document.getElementById("finder");
  if (finder && globalThis.PATCHRUN_INDEX) findSubmissions(finder, globalThis.PATCHRUN_INDEX);

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "")) return;
    const field = document.querySelector("form:not([hidden]) input[type=search]");
    if (field) { event.preventDefault(); field.focus(); }
  });
})();
