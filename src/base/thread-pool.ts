/**
 * Imported for its effect, before sharp: Node starts its thread pool with four threads at first use, and in them every
 * picture is decoded. A machine with more cores gets a thread for each, and two for files and names, unless
 * UV_THREADPOOL_SIZE is set. It has no effect in a program that has used the pool before.
 */
import { availableParallelism } from 'node:os';

const NODE_DEFAULT = 4;
const OTHER_WORK = 2;

process.env.UV_THREADPOOL_SIZE ??= String(Math.max(NODE_DEFAULT, availableParallelism() + OTHER_WORK));
