/** Node strips the types; jest only runs what Node would. */
export default {
  testEnvironment: './test/support/environment.js',
  globalSetup: './test/support/setup.js',
  globalTeardown: './test/support/teardown.js',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.local/'],
  transform: {},
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  testTimeout: 60_000,
  maxWorkers: 2,
};
