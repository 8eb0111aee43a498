import { createSession, type Session, type SessionOptions } from './session.ts';

/**
 * Sessions of one model, as many as the provider that came up is to have: so many batches run at the same time. Each
 * call goes to the one with the fewest waiting.
 * @throws ModelError as `createSession` does.
 */
export async function createSessions(options: SessionOptions): Promise<Session> {
  if (options.providers.every((provider) => options.sizes[provider].sessions.value === 1))
    return createSession(options);
  // Bytes are handed over to a session's thread: each gets a copy of its own.
  const copy = (): SessionOptions => {
    const { model } = options;
    return { ...options, model: typeof model === 'string' ? model : model.slice() };
  };
  const first = await createSession(copy());
  const wanted = options.sizes[first.provider];
  if (wanted.sessions.value === 1) return first;
  // A batch that was too large for the first one is so for all.
  const sizes = {
    ...options.sizes,
    [first.provider]: { ...wanted, batchSize: { ...wanted.batchSize, value: first.batchSize } },
  };
  const rest = await Promise.allSettled(
    Array.from({ length: wanted.sessions.value - 1 }, () =>
      createSession({ ...copy(), sizes, providers: [first.provider] }),
    ),
  );
  const members = [first, ...rest.flatMap((opened) => (opened.status === 'fulfilled' ? [opened.value] : []))];
  const failed = rest.find((opened) => opened.status === 'rejected');
  if (failed === undefined) return together(first, members);
  await Promise.all(members.map((session) => session.close()));
  throw failed.reason;
}

function together({ dim, provider }: Session, members: readonly Session[]): Session {
  const waiting = new Map(members.map((session) => [session, 0]));
  const add = (session: Session, calls: number): void => {
    waiting.set(session, (waiting.get(session) ?? 0) + calls);
  };
  return {
    dim,
    provider,
    get batchSize() {
      return Math.min(...members.map((session) => session.batchSize));
    },
    get stopped() {
      return members.some((session) => session.stopped);
    },
    async embed(pixels, count) {
      const [session] = [...waiting].reduce((a, b) => (b[1] < a[1] ? b : a));
      add(session, 1);
      try {
        return await session.embed(pixels, count);
      } finally {
        add(session, -1);
      }
    },
    async close() {
      await Promise.all(members.map((session) => session.close()));
    },
  };
}
