import { clearLine, cursorTo } from 'node:readline';
import type { WriteStream } from 'node:tty';

/** How far it is; a total of 0 is not known yet. */
interface Progress {
  done: number;
  total: number;
  failed?: number | undefined;
}

export interface ProgressBar {
  update(progress: Progress): void;
  /** Leaves the bar as it is; what is written next begins a line. */
  end(): void;
}

export interface ProgressBarOptions {
  label: string;
  /** What is counted. */
  unit?: string;
  stream?: NodeJS.WriteStream;
  /** Milliseconds of a clock. */
  now?: () => number;
}

const WIDTH = 32;
/** Without a terminal, one line for each tenth. */
const LINES = 10;

/** A bar that redraws itself on a terminal; plain lines elsewhere. With the rate since it began, and what is left. */
export function createProgressBar(options: ProgressBarOptions): ProgressBar {
  const { label, unit = 'images', stream = process.stderr, now = () => performance.now() } = options;
  const begun = now();
  let before: number | undefined;
  let lastTenth = -1;
  let drawn = false;
  const text = ({ done, total, failed }: Progress): string => {
    before ??= done;
    const seconds = (now() - begun) / 1_000;
    const rate = seconds > 0 ? (done - before) / seconds : 0;
    const faults = failed === undefined ? '' : `, ${failed} failed`;
    const left = rate > 0 && done < total ? `, ${timeText((total - done) / rate)} left` : '';
    return `${done}/${total} ${unit}${faults}${rate > 0 ? `, ${rateText(rate)}${left}` : ''}`;
  };
  const redraw = (terminal: WriteStream, line: string): void => {
    cursorTo(terminal, 0);
    terminal.write(line);
    clearLine(terminal, 1);
    drawn = true;
  };
  return {
    update(progress) {
      const share = progress.total === 0 ? 0 : Math.min(1, progress.done / progress.total);
      const line = text(progress);
      if (stream.isTTY) {
        const full = Math.round(share * WIDTH);
        redraw(stream, `${label} [${'#'.repeat(full)}${'.'.repeat(WIDTH - full)}] ${line}`);
        return;
      }
      const tenth = Math.floor(share * LINES);
      if (tenth <= lastTenth || progress.total === 0) return;
      lastTenth = tenth;
      stream.write(`${label}: ${line}\n`);
    },
    end() {
      if (drawn) stream.write('\n');
    },
  };
}

function rateText(perSecond: number): string {
  if (perSecond >= 10) return `${perSecond.toFixed(0)} a second`;
  return perSecond >= 1 ? `${perSecond.toFixed(1)} a second` : `${(perSecond * 60).toFixed(1)} a minute`;
}

/** `45 s`, `12 min`, `3 h 20 min`. */
export function timeText(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
