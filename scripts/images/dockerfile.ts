/** Dockerfiles as data: as much of their grammar as those of this repository use. */

export interface Instruction {
  /** In capitals: `COPY`. */
  name: string;
  /** `--from=build` and the like, in their order. */
  flags: readonly string[];
  /** What stands behind the flags, with line continuations joined. */
  text: string;
}

export interface Stage {
  /** As given behind AS; the last stage may have none. */
  name: string | undefined;
  /** An image, or the name of an earlier stage. */
  base: string;
  instructions: readonly Instruction[];
}

export interface Copy {
  /** The stage that is copied from; undefined: the build's context. */
  from: string | undefined;
  sources: readonly string[];
  target: string;
}

/** @throws SyntaxError where an instruction stands before the first FROM, ARG excepted. */
export function parseDockerfile(text: string): Stage[] {
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const instruction of instructionsOf(text)) {
    const stage = stages.at(-1);
    if (instruction.name === 'FROM') {
      const [base = '', , name] = instruction.text.split(/\s+/);
      stages.push({ base, name, instructions: [] });
    } else if (stage !== undefined) {
      stage.instructions.push(instruction);
    } else if (instruction.name !== 'ARG') {
      throw new SyntaxError(`${instruction.name} stands before the first FROM`);
    }
  }
  return stages;
}

function instructionsOf(text: string): Instruction[] {
  const lines = text.split('\n').filter((line) => !/^\s*(?:#|$)/.test(line));
  return lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => {
      const [, name = '', flags = '', rest = ''] = /^\s*(\S+)((?:\s+--\S+)*)\s*(.*)$/.exec(line) ?? [];
      return {
        name: name.toUpperCase(),
        flags: flags.trim().split(/\s+/).filter(Boolean),
        text: rest.trim(),
      };
    });
}

/** What the stage copies, in its order. */
export function copiesOf(stage: Stage): Copy[] {
  return stage.instructions.filter(({ name }) => name === 'COPY').map((instruction) => copyOf(instruction));
}

export function copyOf({ flags, text }: Instruction): Copy {
  const words = text.split(/\s+/);
  return {
    from: flags.find((flag) => flag.startsWith('--from='))?.slice('--from='.length),
    sources: words.slice(0, -1),
    target: words.at(-1) ?? '',
  };
}

/** The stage's ENV or ARG as pairs; an ARG without a default has the value `''`. Values may be quoted. */
export function variablesOf(stage: Stage, instruction: 'ENV' | 'ARG' | 'LABEL'): Record<string, string> {
  const texts = stage.instructions.filter(({ name }) => name === instruction).map(({ text }) => text);
  return Object.fromEntries(
    texts.flatMap((text) =>
      [...text.matchAll(/([^\s=]+)(?:=("(?:[^"\\]|\\.)*"|\S*))?/g)].map(([, key = '', value = '']) => [
        key,
        value.startsWith('"') ? value.slice(1, -1) : value,
      ]),
    ),
  );
}

/** The stage's CMD or ENTRYPOINT in exec form; undefined where there is none, or it is in shell form. */
export function execForm(stage: Stage, instruction: 'CMD' | 'ENTRYPOINT'): string[] | undefined {
  const last = stage.instructions.filter(({ name }) => name === instruction).at(-1);
  if (last?.text.startsWith('[') !== true) return undefined;
  return JSON.parse(last.text) as string[];
}
