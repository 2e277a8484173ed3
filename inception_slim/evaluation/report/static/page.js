'use strict';

(() => {
  const content = document.getElementById('content');
  const matrix = content && JSON.parse(content.textContent);

  const percent = share => (100 * share).toFixed(2) + '%';
  const collator = new Intl.Collator(undefined, {numeric: true});

  function element(name, text, attributes = {}) {
    const created = document.createElement(name);
    if (text !== undefined) created.textContent = text;
    for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
    return created;
  }

  function press(button) {
    for (const other of button.parentElement.children) {
      other.setAttribute('aria-pressed', String(other === button));
    }
  }

  // Sortable and filterable tables.

  function valueOf(row, column) {
    const cell = row.cells[column];
    return 'value' in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
  }

  function compare(a, b) {
    return typeof a === 'number' ? a - b : collator.compare(a, b);
  }

  function sortTable(button) {
    const table = document.getElementById(button.dataset.sort);
    const column = Number(button.dataset.column);
    const header = button.closest('th');
    const descending = header.getAttribute('aria-sort') === 'ascending';
    for (const cell of header.parentElement.cells) cell.removeAttribute('aria-sort');
    header.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, row => [valueOf(row, column), row]);
    rows.sort((a, b) => (descending ? -1 : 1) * compare(a[0], b[0]));
    body.append(...rows.map(([, row]) => row));
  }

  function filter(input) {
    const query = input.value.trim().toLowerCase();
    const target = input.dataset.filter;
    const selector = target === 'cards' ? '.card' : `#${target} tbody tr`;
    for (const item of document.querySelectorAll(selector)) {
      const text = item.matches('tr') ? item.cells[1].textContent : item.textContent;
      item.hidden = !text.toLowerCase().includes(query);
    }
  }

  // Cards of images.

  function sortCards(button) {
    press(button);
    const cards = document.getElementById(button.closest('.tools').dataset.cards);
    const keys = {
      given: card => Number(card.dataset.index),
      highest: card => -Number(card.dataset.confidence),
      lowest: card => Number(card.dataset.confidence),
    };
    const key = keys[button.dataset.order];
    cards.append(...Array.from(cards.children).sort((a, b) => key(a) - key(b)));
  }

  // The confusion matrix: `rows` and `columns` are the indices of the classes in display order.

  const table = document.getElementById('matrix');
  const panel = document.getElementById('panel');
  let rows = [], columns = [], byRow = null, byColumn = null, descending = false, sortedBy = null;
  let selected = null;

  function sortedIndices(count, key, reverse) {
    const indices = Array.from({length: count}, (_, index) => index);
    return indices.sort((a, b) => (reverse ? -1 : 1) * compare(key(a), key(b)) || a - b);
  }

  function sortMatrix(by) {
    const keys = {
      number: index => matrix.labels[index],
      name: index => matrix.names[index],
      accuracy: index => matrix.accuracy[index] === null ? 2 : matrix.accuracy[index],
      errors: index => -matrix.errors[index],
    };
    descending = by === sortedBy && byRow === null && byColumn === null && !descending;
    sortedBy = by;
    byRow = byColumn = null;
    rows = sortedIndices(matrix.counts.length, keys[by], descending);
    // Predictions that are no class of the dataset are last.
    columns = [...rows];
    for (let index = rows.length; index < matrix.names.length; index++) columns.push(index);
    drawMatrix();
  }

  function sortByColumn(column) {
    rows = sortedIndices(matrix.counts.length, row => -matrix.counts[row][column], false);
    byColumn = column;
    drawMatrix();
  }

  function sortByRow(row) {
    columns = sortedIndices(matrix.names.length, column => -matrix.counts[row][column], false);
    byRow = row;
    drawMatrix();
  }

  function drawMatrix() {
    const hasOthers = matrix.others.some(Boolean);
    const head = element('tr');
    head.append(element('th', 'predicted →\ntrue ↓', {scope: 'col'}));
    for (const column of columns) {
      const cell = element('th', undefined, {
        scope: 'col', tabindex: '-1', 'data-column': column,
        title: `${matrix.names[column]}: sort the rows by this prediction`});
      if (column === byColumn) cell.setAttribute('aria-sort', 'descending');
      cell.append(element('span', matrix.names[column]));
      head.append(cell);
    }
    if (hasOthers) {
      const cell = element('th', undefined, {scope: 'col', title: 'Predictions of classes that are not shown'});
      cell.append(element('span', 'others'));
      head.append(cell);
    }
    const body = element('tbody');
    for (const row of rows) {
      const line = element('tr');
      const name = element('th', undefined, {
        scope: 'row', tabindex: '-1', 'data-row': row,
        title: `${matrix.names[row]}: sort the columns by this class`});
      if (row === byRow) name.setAttribute('aria-sort', 'descending');
      name.append(element('span', matrix.names[row]));
      line.append(name);
      for (const column of columns) {
        const count = matrix.counts[row][column];
        const kind = count === 0 ? 'none' : row === column ? 'correct' : 'wrong';
        const cell = element('td', count.toLocaleString('en'), {
          class: kind, tabindex: '-1', 'data-row': row, 'data-column': column,
          'data-cell': `${matrix.labels[row]},${matrix.labels[column]}`,
          'aria-label': `${count} of ${matrix.names[row]} predicted as ${matrix.names[column]}`});
        if (count) {
          // The square root makes low counts visible.
          cell.style.setProperty('--share', Math.sqrt(count / matrix.images[row]).toFixed(3));
        }
        if (cell.dataset.cell === selected) cell.classList.add('selected');
        line.append(cell);
      }
      if (hasOthers) {
        line.append(element('td', matrix.others[row].toLocaleString('en'), {
          class: matrix.others[row] ? 'others' : 'none'}));
      }
      body.append(line);
    }
    const top = element('thead');
    top.append(head);
    table.replaceChildren(top, body);
    table.classList.toggle('few', matrix.names.length <= 16);
    const first = body.querySelector('td[tabindex]');
    if (first) first.tabIndex = 0;
  }

  function showCell(name) {
    const [label, prediction] = name.split(',').map(Number);
    const row = matrix.labels.indexOf(label), column = matrix.labels.indexOf(prediction);
    const count = matrix.counts[row][column];
    if (!count) return;
    selected = name;
    for (const cell of table.querySelectorAll('td[data-cell]')) {
      cell.classList.toggle('selected', cell.dataset.cell === name);
    }
    const examples = matrix.cells[name] || [];
    const images = count === 1 ? '1 image' : `${count.toLocaleString('en')} images`;
    const title = row === column
      ? `${matrix.names[row]}, predicted correctly`
      : `${matrix.names[row]}, predicted as ${matrix.names[column]}`;
    let words = `${images}, ${percent(count / matrix.images[row])} of the class. `;
    if (!examples.length) words += 'None of them is included in this report.';
    else if (examples.length < count) words += `The ${examples.length} most confident:`;
    const list = element('div', undefined, {class: 'examples'});
    for (const [file, probability, jpeg] of examples) {
      const figure = element('figure');
      figure.append(
        element('img', undefined, {src: `data:image/jpeg;base64,${jpeg}`, alt: '',
                                   width: 96, height: 96}),
        element('figcaption', `confidence ${percent(probability)}`));
      figure.append(element('div', file, {class: 'file', title: file}));
      list.append(figure);
    }
    panel.replaceChildren(element('h3', title), element('p', words), list);
    panel.scrollTop = 0;
  }

  function showMostConfused() {
    let best = null, most = 0;
    matrix.counts.forEach((row, label) => row.forEach((count, prediction) => {
      if (label !== prediction && count > most) {
        most = count;
        best = `${matrix.labels[label]},${matrix.labels[prediction]}`;
      }
    }));
    if (best) showCell(best);
  }

  function actOn(cell) {
    if ('cell' in cell.dataset) showCell(cell.dataset.cell);
    else if ('column' in cell.dataset) sortByColumn(Number(cell.dataset.column));
    else if ('row' in cell.dataset) sortByRow(Number(cell.dataset.row));
  }

  function focusOn(cell) {
    const before = table.querySelector('[tabindex="0"]');
    if (before) before.tabIndex = -1;
    cell.tabIndex = 0;
    cell.focus();
  }

  // The same cell, after the matrix was redrawn.
  function redrawn(cell) {
    const {row, column} = cell.dataset;
    const selector = (name, value) => value === undefined ? `:not([data-${name}])`
      : `[data-${name}="${value}"]`;
    return table.querySelector(`[tabindex]${selector('row', row)}${selector('column', column)}`);
  }

  function keyInMatrix(event) {
    const cell = event.target.closest('[tabindex]');
    if (!cell) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      actOn(cell);
      focusOn(redrawn(cell));
      return;
    }
    const row = cell.parentElement;
    const columnIndex = Array.from(row.cells).indexOf(cell);
    const allRows = Array.from(table.rows);
    const rowIndex = allRows.indexOf(row);
    const target = {
      ArrowLeft: () => row.cells[columnIndex - 1], ArrowRight: () => row.cells[columnIndex + 1],
      ArrowUp: () => allRows[rowIndex - 1] && allRows[rowIndex - 1].cells[columnIndex],
      ArrowDown: () => allRows[rowIndex + 1] && allRows[rowIndex + 1].cells[columnIndex],
      Home: () => row.cells[0], End: () => row.cells[matrix.names.length],
    }[event.key];
    if (!target) return;
    event.preventDefault();
    const next = target();
    if (next && next.hasAttribute('tabindex')) focusOn(next);
  }

  if (table) {
    sortMatrix('number');
    showMostConfused();
    table.addEventListener('click', event => {
      const cell = event.target.closest('[tabindex]');
      if (!cell) return;
      actOn(cell);
      focusOn(redrawn(cell));
    });
    table.addEventListener('keydown', keyInMatrix);
  }

  // Precision-recall and ROC curves of a class.

  function drawCurves(label) {
    const [name, areas, precision, rates] = matrix.curves[label];
    const draw = (id, values) => document.getElementById(id).setAttribute('points',
      values.map((value, index) => `${index / (values.length - 1)},${value}`).join(' '));
    draw('pr-curve', precision);
    draw('roc-curve', rates);
    document.getElementById('pr-caption').textContent =
      `Blue: ${name}, average precision ${percent(areas[0])}. Grey: the mean of the classes.`;
    document.getElementById('roc-caption').textContent =
      `Blue: ${name}, area ${areas[1].toFixed(4)}. Grey: the mean of the classes.`;
  }

  const chooser = document.getElementById('curve-class');
  if (chooser) {
    chooser.append(...matrix.curves.map(([name], index) => element('option', name, {value: index})));
    chooser.addEventListener('change', () => drawCurves(Number(chooser.value)));
    if (matrix.curves.length) drawCurves(0);
  }

  // Boxes that scroll fade at the edges where there is more.

  function markOverflow(box) {
    const right = box.scrollWidth - box.clientWidth - box.scrollLeft > 1;
    const below = box.scrollHeight - box.clientHeight - box.scrollTop > 1;
    box.style.setProperty('--more-right', right ? '32px' : '0px');
    box.style.setProperty('--more-below', below ? '32px' : '0px');
  }

  const observer = new ResizeObserver(entries => {
    for (const {target} of entries) markOverflow(target.closest('.box, .panel'));
  });
  for (const box of document.querySelectorAll('.box, .panel')) {
    box.addEventListener('scroll', () => markOverflow(box));
    observer.observe(box);
    if (box === panel) new MutationObserver(() => markOverflow(box)).observe(box, {childList: true});
    else observer.observe(box.firstElementChild);  // its table
  }

  document.addEventListener('click', event => {
    const button = event.target.closest('button');
    if (!button) return;
    if ('sort' in button.dataset) sortTable(button);
    else if ('order' in button.dataset) sortCards(button);
    else if ('matrix' in button.dataset) {
      press(button);
      sortMatrix(button.dataset.matrix);
    } else if ('cell' in button.dataset) {
      showCell(button.dataset.cell);
      panel.scrollIntoView({block: 'nearest'});
    }
  });
  document.addEventListener('input', event => {
    if ('filter' in event.target.dataset) filter(event.target);
  });
})();
