import { HandlerError, messageOf } from '../../src/base/errors.ts';
import {
  containerOf,
  endpointChanges,
  formerContainer,
  newEndpointBody,
  runsContainer,
  templateBody,
  undoOf,
  type Body,
  type Container,
  type Endpoint,
  type Template,
} from './bodies.ts';
import type { RunPod } from './runpod.ts';
import type { DeploySettings } from './settings.ts';

/** What is there before a deployment. */
export interface Before {
  template: Template | undefined;
  endpoint: Endpoint | undefined;
}

export interface Target {
  /** Of the template and, where it is made here, of the endpoint. */
  name: string;
  /** An endpoint that is there already; undefined: the one of that name. */
  endpointId: string | undefined;
  image: string;
  settings: DeploySettings;
}

/** @throws HandlerError `ambiguous_endpoint` where two have the name. */
export async function readBefore(runpod: RunPod, { name, endpointId }: Target): Promise<Before> {
  const template = (await runpod.templates()).find((one) => one.name === name);
  if (endpointId !== undefined) return { template, endpoint: await runpod.endpoint(endpointId) };
  // The console marks endpoints that boot fast in their names.
  const named = (await runpod.endpoints()).filter((one) => one.name.replace(/ -fb$/, '') === name);
  if (named.length > 1) {
    const ids = named.map(({ id }) => id).join(', ');
    throw new HandlerError(
      'ambiguous_endpoint',
      `several endpoints are called ${name} (${ids}): set the id of one`,
    );
  }
  return { template, endpoint: named[0] };
}

export interface Applied {
  endpoint: Endpoint;
  /** Takes it back; undefined where nothing was changed, or nothing was there before. */
  undo: (() => Promise<string>) | undefined;
}

/**
 * Brings template and endpoint to the target, and changes only what differs. A template's change reaches its endpoint
 * when that is told to take it over.
 */
export async function apply(
  runpod: RunPod,
  target: Target,
  before: Before,
  say: (line: string) => void,
): Promise<Applied> {
  const { name, image, settings } = target;
  const container = containerOf(image, settings);
  const template = await bringTemplate(runpod, name, container, before.template, say);
  const { endpoint } = before;
  if (endpoint === undefined) {
    const made = await runpod.createEndpoint(newEndpointBody(name, template.id, settings));
    say(`endpoint ${made.id} (${name}) is made`);
    return { endpoint: made, undo: undefined };
  }
  const changes = endpointChanges(endpoint, settings);
  if (runsContainer(endpoint, container) && Object.keys(changes).length === 0) {
    say(`endpoint ${endpoint.id} (${endpoint.name}) runs it already`);
    return { endpoint, undo: undefined };
  }
  tellLostVariables(endpoint, container, say);
  const former = {
    ...(before.template === undefined ? {} : formerContainer(before.template)),
    ...formerContainer(endpoint),
  };
  const undo =
    former.image === undefined ? undefined : takeBack({ runpod, name, template, endpoint, changes, former });
  try {
    const changed = await runpod.changeEndpoint(endpoint.id, { templateId: template.id, ...changes });
    say(
      `endpoint ${endpoint.id} (${endpoint.name}) takes over ${[image, ...Object.keys(changes)].join(', ')}`,
    );
    return { endpoint: changed, undo };
  } catch (error) {
    await undo?.().then(say, (failure: unknown) => say(`taking it back failed too: ${messageOf(failure)}`));
    throw error;
  }
}

/** Variables that were set by hand on RunPod's page are easily forgotten. */
function tellLostVariables({ env }: Endpoint, container: Container, say: (line: string) => void): void {
  const lost = Object.keys(env ?? {}).filter((key) => !(key in container.env));
  if (lost.length > 0)
    say(`variables of the endpoint that are not in the settings fall away: ${lost.join(', ')}`);
}

async function bringTemplate(
  runpod: RunPod,
  name: string,
  container: Container,
  current: Template | undefined,
  say: (line: string) => void,
): Promise<Template> {
  const body = templateBody(name, container);
  if (current === undefined) {
    const made = await runpod.createTemplate(body);
    say(`template ${made.id} (${name}) is made`);
    return made;
  }
  if (runsContainer(current, container)) {
    say(`template ${current.id} (${name}) is as it should be`);
    return current;
  }
  const changed = await runpod.changeTemplate(current.id, body);
  say(`template ${current.id} (${name}) is changed`);
  return changed;
}

interface Undo {
  runpod: RunPod;
  name: string;
  template: Template;
  endpoint: Endpoint;
  changes: Body;
  former: Partial<Container>;
}

function takeBack({ runpod, name, template, endpoint, changes, former }: Undo): () => Promise<string> {
  return async () => {
    await runpod.changeTemplate(template.id, { name, ...former });
    await runpod.changeEndpoint(endpoint.id, { templateId: template.id, ...undoOf(changes, endpoint) });
    return `endpoint ${endpoint.id} is back at ${String(former.image)}`;
  };
}
