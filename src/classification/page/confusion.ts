import { escapeHtml } from '../../base/html.ts';

/** Beyond so many classes a table says less than a list of the confusions. */
const MOST_CLASSES = 40;
const LISTED = 15;

/** Which class is taken for which: a table, and the most frequent mistakes in words. */
export function confusionHtml(confusion: readonly (readonly number[])[], names: readonly string[]): string {
  const table = names.length <= MOST_CLASSES ? tableOf(confusion, names) : '';
  const mistakes = confusion
    .flatMap((row, label) =>
      row.map((count, predicted) => ({ label, predicted, count, share: count / sum(row) })),
    )
    .filter(({ label, predicted, count }) => label !== predicted && count > 0)
    .sort((a, b) => b.count - a.count || b.share - a.share)
    .slice(0, LISTED);
  const rows = mistakes.map(
    ({ label, predicted, count, share }) =>
      `<tr><td>${name(names, label)}</td><td>${name(names, predicted)}</td><td class="number">${count}</td>` +
      `<td class="number">${(100 * share).toFixed(0)}%</td></tr>`,
  );
  const list =
    rows.length === 0
      ? '<p>No validation image was taken for another class.</p>'
      : `<div class="scroll"><table><thead><tr><th>is</th><th>taken for</th><th>images</th><th>of its class</th></tr></thead>` +
        `<tbody>${rows.join('')}</tbody></table></div>`;
  return table + list;
}

function tableOf(confusion: readonly (readonly number[])[], names: readonly string[]): string {
  const head = names.map((_, i) => `<th class="turned"><span>${name(names, i)}</span></th>`).join('');
  const rows = confusion.map((row, label) => {
    const cells = row.map((count, predicted) => {
      const share = count / sum(row);
      const tone = label === predicted ? 'good' : 'bad';
      const title = `${names[label] ?? ''} taken for ${names[predicted] ?? ''}: ${count}`;
      return `<td class="${count === 0 ? 'none' : tone}" style="--share:${share.toFixed(3)}" title="${escapeHtml(title)}">${count === 0 ? '' : count}</td>`;
    });
    return `<tr><th>${name(names, label)}</th>${cells.join('')}</tr>`;
  });
  return (
    '<p>Rows: what an image is. Columns: what it is taken for.</p>' +
    `<div class="scroll"><table class="confusion"><thead><tr><th></th>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
  );
}

function name(names: readonly string[], label: number): string {
  return escapeHtml(names[label] ?? String(label));
}

function sum(row: readonly number[]): number {
  return Math.max(
    1,
    row.reduce((a, b) => a + b, 0),
  );
}
