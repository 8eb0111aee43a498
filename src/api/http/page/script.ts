/** Runs in the browser. Everything that it shows is set as text, never as markup. */
export const SCRIPT = `'use strict';
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node && name !== 'list') node[name] = value; else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== undefined));
  return node;
};
let schemas = {};
const resolve = (schema = {}) => {
  if (schema.$ref) return schemas[schema.$ref.split('/').pop()] ?? {};
  if (!schema.anyOf) return schema;
  const [first, ...others] = schema.anyOf.filter((one) => one.type !== 'null');
  return others.length > 0 ? schema : { ...resolve(first), ...schema, anyOf: undefined };
};
const typeOf = (schema) => {
  const known = resolve(schema);
  if (known.enum) return known.enum.join(' | ');
  if (known.const !== undefined) return String(known.const);
  if (known.anyOf) return known.anyOf.map(typeOf).join(' | ');
  if (known.type === 'array') return 'list of ' + typeOf(known.items);
  return known.format ?? known.type ?? 'any';
};

/** A table of a schema's fields, those within fields too. */
const fieldTable = (schema) => {
  const rows = [];
  const walk = (at, path) => {
    const { properties = {}, required = [] } = resolve(at);
    for (const [name, field] of Object.entries(properties)) {
      const known = resolve(field);
      const fallback = field.default ?? known.default;
      const isPlain = fallback !== undefined && typeof fallback !== 'object';
      rows.push(make('tr', {},
        make('td', {}, make('code', { className: required.includes(name) ? 'required' : '' }, path + name)),
        make('td', {}, known.properties ? 'object' : typeOf(field)),
        make('td', {}, (field.description ?? known.description ?? '') + (isPlain ? ' Default: ' + fallback + '.' : ''))));
      if (known.properties) walk(known, path + name + '.');
    }
  };
  walk(schema, '');
  return make('table', {}, ...rows);
};

const exampleOf = (schema) => {
  const { properties = {}, required = [] } = resolve(schema);
  return Object.fromEntries(required.map((name) => {
    const field = resolve(properties[name]);
    if (field.enum) return [name, field.enum[0]];
    if (field.properties) return [name, exampleOf(field)];
    return [name, { array: [], integer: 1, number: 1, boolean: true, object: {} }[field.type] ?? ''];
  }));
};

const send = async (method, address, headers, body) => {
  const key = document.getElementById('key').value;
  const response = await fetch(address, { method, headers: { ...headers, ...(key && { authorization: 'Bearer ' + key }) }, body });
  const text = await response.text();
  const isJson = (response.headers.get('content-type') ?? '').includes('json');
  return { response, text: isJson ? JSON.stringify(JSON.parse(text), null, 2) : text };
};

const operationNode = (method, path, operation) => {
  const inputs = (operation.parameters ?? []).map((parameter) => {
    const input = make('input', { placeholder: typeOf(parameter.schema) });
    const name = make('code', { className: parameter.required ? 'required' : '' }, parameter.name);
    return { parameter, input, node: make('label', { className: 'field' }, name, input, make('span', {}, parameter.description ?? '')) };
  });
  const content = operation.requestBody?.content ?? {};
  const schema = content['application/json']?.schema;
  const file = operation.requestBody && !schema ? make('input', { type: 'file', accept: 'image/*' }) : undefined;
  const text = schema ? make('textarea', { spellcheck: false, value: JSON.stringify(exampleOf(schema), null, 2) }) : undefined;
  const examples = Object.values(content['application/json']?.examples ?? {}).map(({ summary, value }) => {
    const fill = make('button', { type: 'button', className: 'plain' }, summary);
    fill.addEventListener('click', () => { text.value = JSON.stringify(value, null, 2); });
    return fill;
  });
  const status = make('p', { className: 'status' });
  const shown = make('pre', { hidden: true });
  const button = make('button', { type: 'button' }, 'Send');
  button.addEventListener('click', async () => {
    let address = path;
    const query = new URLSearchParams();
    for (const { parameter, input } of inputs) {
      if (parameter.in === 'path') address = address.replace('{' + parameter.name + '}', encodeURIComponent(input.value));
      else if (input.value !== '') query.set(parameter.name, input.value);
    }
    if (query.size > 0) address += '?' + query;
    const picture = file?.files[0];
    const headers = text ? { 'content-type': 'application/json' } : picture ? { 'content-type': picture.type || 'application/octet-stream' } : {};
    status.textContent = 'Sending';
    try {
      const answer = await send(method, address, headers, text?.value ?? picture);
      status.className = answer.response.ok ? 'status' : 'status bad';
      status.textContent = answer.response.status + ' ' + method + ' ' + address + ' (' + answer.response.headers.get('x-request-id') + ')';
      shown.textContent = answer.text;
      shown.hidden = false;
    } catch (error) {
      status.className = 'status bad';
      status.textContent = String(error);
    }
  });
  const answers = Object.entries(operation.responses).map(([code, { description }]) =>
    make('tr', {}, make('td', {}, make('code', {}, code)), make('td', {}, description)));
  return make('details', { id: operation.operationId },
    make('summary', {}, make('span', { className: 'verb ' + method }, method), make('code', {}, path), make('span', {}, operation.summary)),
    make('div', { className: 'body' },
      operation.description ? make('p', {}, operation.description) : undefined,
      ...inputs.map(({ node }) => node),
      examples.length > 0 ? make('p', {}, 'Examples: ', ...examples) : undefined,
      text, file, make('p', {}, button), status, shown,
      schema ? make('details', {}, make('summary', {}, 'Fields'), fieldTable(schema)) : undefined,
      make('details', {}, make('summary', {}, 'Answers'), make('table', {}, ...answers))));
};

const show = async () => {
  const api = await (await fetch('/openapi.json')).json();
  schemas = api.components.schemas;
  document.getElementById('version').textContent = api.info.version;
  document.getElementById('about').textContent = api.info.description;
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      groups.set(tag, [...(groups.get(tag) ?? []), operationNode(method.toUpperCase(), path, operation)]);
    }
  }
  const sections = [...groups].map(([tag, nodes]) => make('section', {}, make('h2', {}, tag), ...nodes));
  document.getElementById('operations').replaceChildren(...sections);
  document.getElementById(location.hash.slice(1))?.setAttribute('open', '');
};
show().catch((error) => { document.getElementById('operations').textContent = String(error); });
`;
