/** A thread for the arithmetic of the baselines, which takes seconds. Started by baselines.ts. */
import { parentPort, workerData } from 'node:worker_threads';

import { nearestNeighbours, type BaselineOptions } from './nearest.ts';
import { ridgeClasses } from './ridge.ts';

const { nearest, ridge } = workerData as { nearest: BaselineOptions; ridge: BaselineOptions };

parentPort?.postMessage({ nearest: nearestNeighbours(nearest), ridge: ridgeClasses(ridge) });
