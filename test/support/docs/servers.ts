import { once } from 'node:events';

import type { Block } from './pages.ts';
import { startBash, type Place, type Running } from './processes.ts';

/** What the pages start and leave running. */
interface Server {
  name: RegExp;
  /** The port that the pages name; undefined: it says its own. */
  port?: number;
  /** At any port that is free instead. */
  anyPort?: (command: string) => string;
  /** Prints lines for the shells that use it. */
  exports?: boolean;
}

const SERVERS: readonly Server[] = [
  { name: /^npm run local$/m, exports: true },
  {
    name: /--rp_serve_api/,
    port: 8000,
    anyPort: (command) => command.replace('--rp_serve_api', '--rp_serve_api --rp_api_port 0'),
  },
  { name: /^npm run api$/m, port: 8080, anyPort: (command) => `export API_PORT=0\n${command}` },
  {
    name: /^npm run simulator /m,
    port: 9000,
    anyPort: (command) => command.replace('--port 9000', '--port 0'),
  },
];

/** Each server that the pages name, once, in an order in which each finds what it needs. */
export async function startServers(blocks: readonly Block[], place: Place): Promise<Servers> {
  const commands = new Map(blocks.map((block) => [block.text, block]));
  const servers = new Servers(place);
  try {
    for (const server of SERVERS) {
      for (const [text, block] of commands) {
        if (!server.name.test(text)) continue;
        await servers.start(server, block);
        commands.delete(text);
      }
    }
    const [unknown] = commands.values();
    if (unknown !== undefined) {
      throw new Error(
        `${unknown.page}:${unknown.line}: test/support/docs/servers.ts does not know this server`,
      );
    }
    return servers;
  } catch (error) {
    await servers[Symbol.asyncDispose]();
    throw error;
  }
}

export class Servers implements AsyncDisposable {
  readonly #place: Place;
  readonly #running: Running[] = [];
  readonly #ports = new Map<number, string>();

  constructor(place: Place) {
    this.#place = place;
  }

  /** For the shells of pages. */
  get place(): Place {
    return this.#place;
  }

  /** A page's commands, with the ports that servers have instead of those that it names. */
  here(commands: string): string {
    return commands.replace(/\b(localhost|127\.0\.0\.1):(\d+)\b/g, (whole, host: string, port: string) => {
      const other = this.#ports.get(Number(port));
      return other === undefined ? whole : `${host}:${other}`;
    });
  }

  async start({ port, anyPort, exports = false }: Server, { page, line, text }: Block): Promise<void> {
    const command = this.here(anyPort?.(text) ?? text);
    const started = startBash(command, this.#place);
    this.#running.push(started);
    const said = await firstAddress(started, `${page}:${line}`);
    const own = /:(\d+)/.exec(said)?.[1];
    if (port !== undefined && own !== undefined) this.#ports.set(port, own);
    if (!exports) return;
    for (const [, name = '', value = ''] of started.said().matchAll(/^export (\w+)=(.*)$/gm)) {
      this.#place.env[name] = value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The last first: each may need those before it to end well.
    for (const running of this.#running.reverse()) await running.end();
  }
}

/** What a server says when it can be used: the line in which it names its address, whole. */
async function firstAddress({ child, exited, said }: Running, where: string): Promise<string> {
  const stdout = child.stdout;
  for (;;) {
    const address = /\bhttp:\/\/\S+.*\n/.exec(said())?.[0];
    if (address !== undefined) return address;
    const more = stdout && once(stdout, 'data').then(() => true);
    if ((await Promise.race([more, exited.then(() => false)])) !== true) {
      throw new Error(`${where}: ended before it served:\n${said()}`);
    }
  }
}
