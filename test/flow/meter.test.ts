import { describe, expect, test } from '@jest/globals';

import { createMeter, type Meter, type StageReading } from '../../src/flow/meter.ts';
import { mapConcurrent, metered } from '../../src/flow/streams.ts';
import { StoppedError } from '../../src/base/errors.ts';

/** A meter whose clock is turned by hand, in seconds. */
function handTurned(): { meter: Meter; after: (seconds: number) => void } {
  let ms = 1_000;
  return {
    meter: createMeter(() => ms),
    after(seconds) {
      ms += seconds * 1_000;
    },
  };
}

const stageOf = (meter: Meter, name: string): StageReading | undefined =>
  meter.read().stages.find((stage) => stage.name === name);

describe('how a stage spends its time', () => {
  test('is averaged over its places, and makes up the whole', () => {
    const { meter, after } = handTurned();
    const gauge = meter.stage('decode', 2);
    const [a, b] = [gauge.open(), gauge.open()];
    a.to('working');
    after(2);
    b.to('working');
    after(4);
    a.to('held');
    after(3);
    b.to('waiting');
    after(1);
    expect(meter.read()).toMatchObject({ seconds: 10 });
    // 2 s one of two works, 4 s both, 3 s one works and one is held, 1 s one is held.
    expect(stageOf(meter, 'decode')).toMatchObject({
      workingSeconds: 1 + 4 + 1.5,
      heldSeconds: 1.5 + 0.5,
      waitingSeconds: 10 - 6.5 - 2,
    });
  });

  test('what waits in the stage’s own queue is no work', () => {
    const { meter, after } = handTurned();
    const gauge = meter.stage('embed', 1);
    const [running, queued] = [gauge.open(), gauge.open()];
    running.to('working');
    queued.to('working');
    after(5);
    running.to('held');
    after(5);
    expect(stageOf(meter, 'embed')).toMatchObject({ workingSeconds: 10, heldSeconds: 0, waitingSeconds: 0 });
  });

  test('ends with the stop', () => {
    const { meter, after } = handTurned();
    const place = meter.stage('write', 1).open();
    place.to('working');
    after(3);
    meter.stop();
    after(100);
    place.close();
    place.close();
    expect(meter.read()).toMatchObject({ seconds: 3, stages: [{ workingSeconds: 3, limitingSeconds: 3 }] });
  });

  test('nothing ran', () => {
    expect(createMeter().read()).toEqual({ seconds: 0, stages: [] });
  });
});

describe('which stage holds the others back', () => {
  test('the last one that has no place free', () => {
    const { meter, after } = handTurned();
    const [download, decode, write] = [
      meter.stage('download', 2),
      meter.stage('decode', 1),
      meter.stage('write', 1),
    ];
    const [first, second, decoding, writing] = [
      download.open(),
      download.open(),
      decode.open(),
      write.open(),
    ];
    first.to('working');
    second.to('working');
    // Both downloads, and the rest waits.
    after(1);
    decoding.to('working');
    // Downloads go on, but one is being decoded.
    after(2);
    decoding.to('held');
    writing.to('working');
    first.to('held');
    after(4);
    const limiting = meter.read().stages.map(({ name, limitingSeconds }) => [name, limitingSeconds]);
    expect(limiting).toEqual([
      ['download', 1],
      ['decode', 2],
      ['write', 4],
    ]);
  });

  test('at the end a stage with all that is left, however many places it had', () => {
    const { meter, after } = handTurned();
    const [download, decode] = [meter.stage('download', 32), meter.stage('decode', 1)];
    const decoding = decode.open();
    const places = Array.from({ length: 32 }, () => download.open());
    places[0]?.to('working');
    // More could be fetched, if more were there.
    after(1);
    for (const place of places.slice(1)) place.close();
    after(5);
    decoding.close();
    expect(stageOf(meter, 'download')?.limitingSeconds).toBe(5);
  });
});

describe('in a stream', () => {
  test('a slow stage is named, those before it are held, those behind it wait', async () => {
    const meter = createMeter();
    const work = (ms: number) => (n: number) => new Promise<number>((done) => setTimeout(done, ms, n));
    async function* numbers(): AsyncGenerator<number> {
      for (let i = 0; i < 30; i++) yield await Promise.resolve(i);
    }
    const listed = metered(numbers(), meter.stage('list', 1));
    const fetched = mapConcurrent(listed, 2, work(1), { gauge: meter.stage('fetch', 2) });
    const slow = mapConcurrent(fetched, 2, work(20), { gauge: meter.stage('slow', 2) });
    const written = mapConcurrent(slow, 2, work(1), { gauge: meter.stage('write', 2) });
    for await (const _ of written);
    meter.stop();
    const { seconds, stages } = meter.read();
    const [list, fetch, middle, write] = stages;
    const limiting = stages.toSorted((a, b) => b.limitingSeconds - a.limitingSeconds)[0];
    expect(limiting?.name).toBe('slow');
    expect(middle?.workingSeconds).toBeGreaterThan(seconds / 2);
    expect(list?.heldSeconds).toBeGreaterThan(seconds / 2);
    expect(fetch?.heldSeconds).toBeGreaterThan(seconds / 2);
    expect(write?.waitingSeconds).toBeGreaterThan(seconds / 2);
    for (const { workingSeconds, heldSeconds, waitingSeconds } of stages) {
      expect(workingSeconds + heldSeconds + waitingSeconds).toBeCloseTo(seconds, 6);
    }
  });

  test('places are closed however it ends', async () => {
    for (const how of ['error', 'abort', 'reader'] as const) {
      const { meter, after } = handTurned();
      const stop = new AbortController();
      const fail = (n: number): Promise<number> => {
        if (how === 'error' && n === 3) return Promise.reject(new Error('three'));
        if (how === 'abort' && n === 3) stop.abort(new StoppedError('cancelled', 'enough'));
        return Promise.resolve(n);
      };
      const listed = metered([1, 2, 3, 4, 5], meter.stage('list', 1));
      const options = { gauge: meter.stage('work', 2), signal: stop.signal };
      const read = async (): Promise<void> => {
        for await (const n of mapConcurrent(listed, 2, fail, options))
          if (how === 'reader' && n === 3) return;
      };
      await read().catch(() => undefined);
      after(7);
      for (const stage of meter.read().stages) {
        expect(stage).toMatchObject({ workingSeconds: 0, heldSeconds: 0, limitingSeconds: 0 });
      }
    }
  });
});
