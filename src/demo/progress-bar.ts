import { clearLine, cursorTo } from 'node:readline';
import type { WriteStream } from 'node:tty';

export interface ProgressBar {
  update(done: number, total: number, failed?: number): void;
  end(): void;
}

const WIDTH = 32;
/** Without a terminal, one line for each tenth. */
const LINES = 10;

/** A bar that redraws itself on a terminal; plain lines elsewhere. */
export function createProgressBar(label: string, stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  const begun = performance.now();
  let lastTenth = -1;
  const text = (done: number, total: number, failed?: number): string => {
    const rate = done / ((performance.now() - begun) / 1_000);
    const faults = failed === undefined ? '' : `, ${failed} failed`;
    return `${done}/${total} images${faults}, ${rate.toFixed(0)} a second`;
  };
  const redraw = (terminal: WriteStream, line: string): void => {
    cursorTo(terminal, 0);
    terminal.write(line);
    clearLine(terminal, 1);
  };
  return {
    update(done, total, failed) {
      const share = total === 0 ? 0 : done / total;
      if (stream.isTTY) {
        const full = Math.round(share * WIDTH);
        redraw(
          stream,
          `${label} [${'#'.repeat(full)}${'.'.repeat(WIDTH - full)}] ${text(done, total, failed)}`,
        );
        return;
      }
      const tenth = Math.floor(share * LINES);
      if (tenth <= lastTenth || total === 0) return;
      lastTenth = tenth;
      stream.write(`${label}: ${text(done, total, failed)}\n`);
    },
    end() {
      if (stream.isTTY) stream.write('\n');
    },
  };
}
