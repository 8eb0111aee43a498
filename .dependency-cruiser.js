/** Imports go down only; docs/architecture.md draws the house. */

/** For each folder of src, the folders of src that it may import beside itself. */
const MAY_IMPORT = {
  base: [],
  flow: ['base'],
  telemetry: ['base'],
  http: ['flow', 'base'],
  onnx: ['base'],
  image: ['http', 'flow', 'base'],
  model: ['image', 'onnx', 'http', 'flow', 'base'],
  training: ['model', 'image', 'onnx', 'flow', 'base'],
  supabase: ['http', 'flow', 'base'],
  qdrant: ['http', 'flow', 'base'],
  worker: ['http', 'flow', 'base'],
  job: ['worker', 'image', 'supabase', 'http', 'flow', 'base'],
  classification: ['job', 'worker', 'training', 'model', 'image', 'onnx', 'supabase', 'http', 'flow', 'base'],
  embedding: ['job', 'worker', 'model', 'image', 'supabase', 'qdrant', 'http', 'telemetry', 'flow', 'base'],
  local: ['supabase', 'qdrant', 'image', 'http', 'flow', 'base'],
  api: ['embedding', 'classification', 'job', 'supabase', 'qdrant', 'http', 'flow', 'base'],
  cli: [
    'image',
    'api',
    'local',
    'classification',
    'embedding',
    'worker',
    'model',
    'supabase',
    'qdrant',
    'http',
    'flow',
    'base',
  ],
  demo: [
    'cli',
    'local',
    'classification',
    'embedding',
    'job',
    'worker',
    'model',
    'image',
    'supabase',
    'qdrant',
    'http',
    'flow',
    'base',
  ],
};

/** Which folder of src owns a vendor's package and so its types. */
const OWNED = {
  'onnxruntime-(node|common)': '^src/model/',
  sharp: '^src/(image|local/shelf)/',
  undici: '^src/http/',
  '@supabase/supabase-js': '^src/supabase/',
  '@supabase/lite': '^src/local/',
  '@electric-sql/.*': '^src/local/',
  '@qdrant/.*': '^src/qdrant/',
  pino: '^src/base/',
  hono: '^src/(api|worker/endpoint)/',
  '@hono/node-server': '^src/http/',
  'runpod-sdk': '^src/(api|demo)/',
  '@opentelemetry/.*': '^src/telemetry/',
};

const layers = Object.entries(MAY_IMPORT).map(([folder, allowed]) => ({
  name: `${folder}-imports-down`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` },
}));

const owners = Object.entries(OWNED).map(([vendor, folder]) => ({
  name: `only-one-folder-knows-${vendor.replace(/\W+/g, '-')}`,
  severity: 'error',
  from: { path: '^(src|handlers)/', pathNot: folder },
  to: { path: `^node_modules/${vendor}/` },
}));

export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, path: '^src/' }, to: {} },
    {
      name: 'local-is-for-demo-and-tests',
      severity: 'error',
      from: { path: '^(src|handlers)/', pathNot: '^src/(local|demo|cli)' },
      to: { path: '^src/local/' },
    },
    {
      name: 'handlers-are-for-their-callers',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(demo/|cli|index)' },
      to: { path: '^handlers/' },
    },
    {
      name: 'sources-do-not-import-tests',
      severity: 'error',
      from: { path: '^(src|handlers)/' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'the-api-knows-of-a-job-its-input-and-how-it-is-divided',
      severity: 'error',
      from: { path: '^src/api/' },
      to: {
        path: '^src/(embedding|classification)/',
        pathNot: '^src/((embedding|classification)/input|embedding/divide/divide)\\.ts$',
      },
    },
    {
      name: 'the-api-loads-no-model-and-no-pictures',
      severity: 'error',
      from: { path: '^src/api/' },
      to: { path: '^node_modules/(onnxruntime-(node|common)|sharp)/', reachable: true },
    },
    ...layers,
    ...owners,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
