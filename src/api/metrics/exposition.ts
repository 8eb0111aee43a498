/** Prometheus' text format, version 0.0.4. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;

/** One metric with its samples, one for each set of labels. */
export interface Metric {
  name: string;
  type: 'counter' | 'gauge';
  help: string;
  samples: readonly { labels: Labels; value: number }[];
}

export function expose(metrics: readonly Metric[]): string {
  return metrics.map(exposeOne).join('');
}

function exposeOne({ name, type, help, samples }: Metric): string {
  const lines = samples.map(({ labels, value }) => `${name}${labelText(labels)} ${value}\n`);
  return `# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([key, value]) => `${key}="${value.replace(/[\\\n"]/g, escaped)}"`,
  );
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escaped(character: string): string {
  return character === '\n' ? String.raw`\n` : `\\${character}`;
}

/** A sum for each set of labels; it only rises. */
export interface Counter {
  add(labels: Labels, value?: number): void;
  metric(): Metric;
}

/** Sets of labels that one counter holds at most: what comes from outside must not fill the memory. */
const MAX_SAMPLES = 1_000;

export function createCounter(name: string, help: string): Counter {
  const sums = new Map<string, { labels: Labels; value: number }>();
  return {
    add(labels, value = 1) {
      const key = JSON.stringify(Object.entries(labels));
      const sample = sums.get(key) ?? { labels, value: 0 };
      if (value >= 0 && (sums.has(key) || sums.size < MAX_SAMPLES)) {
        sums.set(key, { labels, value: sample.value + value });
      }
    },
    metric: () => ({ name, type: 'counter', help, samples: [...sums.values()] }),
  };
}
