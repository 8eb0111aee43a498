import { escapeHtml } from '../base/html.ts';
import type { Recall, SearchedCutout } from './evaluate.ts';

export interface ReportPage {
  cutouts: readonly SearchedCutout[];
  recall: Recall;
  meanColourFamilies: number;
  failures: readonly { id: string; code: string; message: string }[];
  processed: number;
  seconds: number;
  /** An address as the page can show it, from where the page lies. */
  picture: (url: string) => string;
}

/** A page of its own: each cutout beside its three best products, the wrong ones first. */
export function reportPage(report: ReportPage): string {
  const { cutouts, recall } = report;
  const wrong = cutouts.filter(({ right }) => !right);
  const families = cutouts.filter(({ right, inFamily }) => right && inFamily);
  const others = cutouts.filter(({ right, inFamily }) => right && !inFamily);
  const figures = [
    ['Recall at 1', percent(recall.all), `${cutouts.length} cutouts searched among the products`],
    [
      'Among look-alikes',
      percent(recall.families),
      'products that share shape and palette, and differ in print',
    ],
    [
      'By mean colour',
      percent(report.meanColourFamilies),
      'the control: the same look-alikes, searched by mean colour',
    ],
    ['Embedded', String(report.processed), `images in ${report.seconds.toFixed(1)} s`],
    ['Failed', String(report.failures.length), 'files that are broken on purpose; each failed alone'],
  ] as const;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cutouts and their nearest products</title>
<style>${STYLE}</style>
<header>
<h1>Cutouts and their nearest products</h1>
<p>Each cutout of a shelf photo, and the three products whose vectors are nearest to it, best first, with their cosine similarity.</p>
<dl>${figures.map(([name, value, note]) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}<small>${escapeHtml(note)}</small></dd></div>`).join('')}</dl>
</header>
${section('Wrong', 'The nearest product is another one.', wrong, report)}
${section('Right, among look-alikes', 'Only the print tells these from their relatives.', families, report)}
${section('Right', '', others, report)}
${failed(report)}
</html>
`;
}

function section(
  title: string,
  note: string,
  cutouts: readonly SearchedCutout[],
  report: ReportPage,
): string {
  if (cutouts.length === 0) return '';
  const cards = cutouts.map((cutout) => card(cutout, report)).join('\n');
  return `<section><h2>${title} <span>${cutouts.length}</span></h2>${note === '' ? '' : `<p>${note}</p>`}<div class="cards">${cards}</div></section>`;
}

function failed({ failures }: ReportPage): string {
  if (failures.length === 0) return '';
  const rows = failures.map(
    ({ id, code, message }) =>
      `<tr><td><code>${escapeHtml(code)}</code></td><td>${escapeHtml(message)}</td><td><code>${escapeHtml(id)}</code></td></tr>`,
  );
  return `<section><h2>Failed <span>${failures.length}</span></h2><div class="scroll"><table>${rows.join('')}</table></div></section>`;
}

function card({ url, matches, right, productName }: SearchedCutout, { picture }: ReportPage): string {
  const products = matches.map((match) => {
    const isTrue = match.isRight;
    return `<figure class="${isTrue ? 'true' : ''}"><img loading="lazy" src="${escapeHtml(picture(match.url))}" alt="${escapeHtml(match.productName)}"><figcaption><b>${match.score.toFixed(3)}</b> ${isTrue ? '&#10003;' : ''}<br>${escapeHtml(match.productName)}</figcaption></figure>`;
  });
  return `<article class="${right ? 'right' : 'wrong'}"><figure class="cutout"><img loading="lazy" src="${escapeHtml(picture(url))}" alt="cutout of ${escapeHtml(productName)}"><figcaption>${right ? '' : '<b>wrong</b>, it is '}${escapeHtml(productName)}</figcaption></figure>${products.join('')}</article>`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2126; --soft: #68737d; --line: #dfe3e7; --card: #fff; --ground: #f4f6f8; --good: #1a7f4b; --bad: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecef; --soft: #9aa5ae; --line: #333b42; --card: #1e2429; --ground: #14181b; --good: #4fc283; --bad: #f0776a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 32px 24px 64px; background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { margin: 0 0 4px; font-size: 26px; }
h2 { margin: 36px 0 4px; font-size: 19px; }
h2 span { color: var(--soft); font-weight: 400; }
p { margin: 0 0 12px; color: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 20px 0 0; }
dl div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
dt { color: var(--soft); font-size: 13px; }
dd { margin: 0; font-size: 25px; font-weight: 600; }
dd small { display: block; font-size: 12px; font-weight: 400; color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(430px, 100%), 1fr)); gap: 12px; }
article { display: grid; grid-template-columns: 1.15fr 1fr 1fr 1fr; gap: 8px; background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--good); border-radius: 10px; padding: 10px; }
article.wrong { border-left-color: var(--bad); }
figure { margin: 0; min-width: 0; }
img { width: 100%; height: 112px; object-fit: contain; background: #fff; border-radius: 6px; border: 2px solid transparent; }
.cutout img { background: #2a2e32; }
.true img { border-color: var(--good); }
figcaption { margin-top: 4px; font-size: 11px; color: var(--soft); overflow-wrap: anywhere; }
.true b { color: var(--good); }
.wrong .cutout b { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; background: var(--card); font-size: 13px; }
td { border: 1px solid var(--line); padding: 6px 12px; text-align: left; }
@media (max-width: 560px) { body { padding: 20px 12px 48px; } article { grid-template-columns: 1fr 1fr; } }
`;
