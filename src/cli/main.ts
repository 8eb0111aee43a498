#!/usr/bin/env node
const OLDEST = [22, 19] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  process.stderr.write(
    `gpu-handlers needs Node ${OLDEST.join('.')} or later, and this is ${process.version}\n`,
  );
  process.exit(1);
}

/** What a connection that failed has left behind (a timer of the SDK) is not worth waiting for. */
const LINGER_MS = 100;

const { runCommandLine } = await import('./program.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
setTimeout(() => process.exit(), LINGER_MS).unref();

export {};
