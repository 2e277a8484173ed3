'use strict';

(() => {
  const content = document.getElementById('content');
  const matrix = content && JSON.parse(content.textContent);

  const percent = share => (100 * share).toFixed(2) + '%';
  const plain = new Intl.Collator(undefined, {numeric: true});

  function element(name, text, attributes = {}) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function press(button) {
    for (const each of button.parentElement.children) {
      each.setAttribute('aria-pressed', String(each === button));
    }
  }

  // Tables whose heads sort them, and what filters them.

  function valueOf(row, column) {
    const cell = row.cells[column];
    return 'value' in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
  }

  function compared(a, b) {
    return typeof a === 'number' ? a - b : plain.compare(a, b);
  }

  function sortTable(button) {
    const table = document.getElementById(button.dataset.sort);
    const column = Number(button.dataset.column);
    const head = button.closest('th');
    const down = head.getAttribute('aria-sort') === 'ascending';
    for (const each of head.parentElement.cells) each.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, row => [valueOf(row, column), row]);
    rows.sort((a, b) => (down ? -1 : 1) * compared(a[0], b[0]));
    body.append(...rows.map(each => each[1]));
  }

  function filter(input) {
    const wanted = input.value.trim().toLowerCase();
    const of = input.dataset.filter === 'cards' ? '.card' : `#${input.dataset.filter} tbody tr`;
    for (const each of document.querySelectorAll(of)) {
      const text = each.matches('tr') ? each.cells[1].textContent : each.textContent;
      each.hidden = !text.toLowerCase().includes(wanted);
    }
  }

  // The cards of images.

  function sortCards(button) {
    press(button);
    const cards = document.getElementById(button.closest('.tools').dataset.cards);
    const keys = {
      given: card => Number(card.dataset.given),
      surest: card => -Number(card.dataset.sure),
      unsure: card => Number(card.dataset.sure),
    };
    const key = keys[button.dataset.order];
    cards.append(...Array.from(cards.children).sort((a, b) => key(a) - key(b)));
  }

  // The confusion matrix: `rows` and `columns` are the orders that its parts are shown in.

  const table = document.getElementById('matrix');
  const panel = document.getElementById('panel');
  let rows = [], columns = [], byRow = null, byColumn = null, down = false, by = null;
  let chosen = null;

  function ordered(count, key, descending) {
    const order = Array.from({length: count}, (_, at) => at);
    return order.sort((a, b) => (descending ? -1 : 1) * compared(key(a), key(b)) || a - b);
  }

  function sortMatrix(wanted) {
    const keys = {
      number: at => matrix.labels[at],
      name: at => matrix.names[at],
      accuracy: at => matrix.accuracy[at] === null ? 2 : matrix.accuracy[at],
      mistakes: at => -matrix.mistakes[at],
    };
    down = wanted === by && byRow === null && byColumn === null && !down;
    by = wanted;
    byRow = byColumn = null;
    rows = ordered(matrix.counts.length, keys[by], down);
    // What is no class of the dataset comes after those that are.
    columns = [...rows];
    for (let at = rows.length; at < matrix.names.length; at++) columns.push(at);
    drawMatrix();
  }

  function sortByColumn(column) {
    rows = ordered(matrix.counts.length, row => -matrix.counts[row][column], false);
    byColumn = column;
    drawMatrix();
  }

  function sortByRow(row) {
    columns = ordered(matrix.names.length, column => -matrix.counts[row][column], false);
    byRow = row;
    drawMatrix();
  }

  function drawMatrix() {
    const others = matrix.elsewhere.some(Boolean);
    const head = element('tr');
    head.append(element('th', 'class \\ answer', {scope: 'col'}));
    for (const column of columns) {
      const cell = element('th', undefined, {
        scope: 'col', tabindex: '-1', 'data-column': column,
        title: `${matrix.names[column]}: sort the rows by this answer`});
      if (column === byColumn) cell.setAttribute('aria-sort', 'descending');
      cell.append(element('span', matrix.names[column]));
      head.append(cell);
    }
    if (others) {
      const cell = element('th', undefined, {scope: 'col', title: 'Answers that are not shown'});
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
        const kind = count === 0 ? 'none' : row === column ? 'right' : 'wrong';
        const cell = element('td', count.toLocaleString('en'), {
          class: kind, tabindex: '-1', 'data-row': row, 'data-column': column,
          'data-cell': `${matrix.labels[row]},${matrix.labels[column]}`,
          'aria-label': `${count} of ${matrix.names[row]} answered as ${matrix.names[column]}`});
        if (count) {
          // The root, so that what is rare can be seen.
          cell.style.setProperty('--share', Math.sqrt(count / matrix.images[row]).toFixed(3));
        }
        if (cell.dataset.cell === chosen) cell.classList.add('chosen');
        line.append(cell);
      }
      if (others) {
        line.append(element('td', matrix.elsewhere[row].toLocaleString('en'), {
          class: matrix.elsewhere[row] ? 'elsewhere' : 'none'}));
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
    const [label, answer] = name.split(',').map(Number);
    const row = matrix.labels.indexOf(label), column = matrix.labels.indexOf(answer);
    const count = matrix.counts[row][column];
    if (!count) return;
    chosen = name;
    for (const each of table.querySelectorAll('td[data-cell]')) {
      each.classList.toggle('chosen', each.dataset.cell === name);
    }
    const kept = matrix.cells[name] || [];
    const images = count === 1 ? '1 image' : `${count.toLocaleString('en')} images`;
    const title = row === column
      ? `${matrix.names[row]}, rightly answered`
      : `${matrix.names[row]}, answered as ${matrix.names[column]}`;
    let words = `${images}, ${percent(count / matrix.images[row])} of the class. `;
    if (!kept.length) words += 'None of them is kept in this page.';
    else if (kept.length < count) words += `The surest ${kept.length} are kept in this page:`;
    const list = element('div', undefined, {class: 'shown'});
    for (const [file, probability, picture] of kept) {
      const figure = element('figure');
      figure.append(
        element('img', undefined, {src: `data:image/jpeg;base64,${picture}`, alt: '',
                                   width: 96, height: 96}),
        element('figcaption', `${percent(probability)} sure`));
      figure.append(element('div', file, {class: 'file', title: file}));
      list.append(figure);
    }
    panel.replaceChildren(element('h3', title), element('p', words), list);
    panel.scrollTop = 0;
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

  // The same cell, after the matrix was drawn again.
  function found(cell) {
    const {row, column} = cell.dataset;
    const with_ = (name, value) => value === undefined ? `:not([data-${name}])`
      : `[data-${name}="${value}"]`;
    return table.querySelector(`[tabindex]${with_('row', row)}${with_('column', column)}`);
  }

  function keyInMatrix(event) {
    const cell = event.target.closest('[tabindex]');
    if (!cell) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      actOn(cell);
      focusOn(found(cell));
      return;
    }
    const line = cell.parentElement;
    const at = Array.from(line.cells).indexOf(cell);
    const lines = Array.from(table.rows);
    const number = lines.indexOf(line);
    const target = {
      ArrowLeft: () => line.cells[at - 1], ArrowRight: () => line.cells[at + 1],
      ArrowUp: () => lines[number - 1] && lines[number - 1].cells[at],
      ArrowDown: () => lines[number + 1] && lines[number + 1].cells[at],
      Home: () => line.cells[0], End: () => line.cells[matrix.names.length],
    }[event.key];
    if (!target) return;
    event.preventDefault();
    const next = target();
    if (next && next.hasAttribute('tabindex')) focusOn(next);
  }

  if (matrix) {
    sortMatrix('number');
    table.addEventListener('click', event => {
      const cell = event.target.closest('[tabindex]');
      if (!cell) return;
      actOn(cell);
      focusOn(found(cell));
    });
    table.addEventListener('keydown', keyInMatrix);
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
