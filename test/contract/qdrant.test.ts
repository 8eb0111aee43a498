import { startLocalQdrant } from '../../src/local/qdrant/qdrant.ts';
import { describeQdrant } from './qdrant.contract.ts';

describeQdrant('the embedded Qdrant', () => startLocalQdrant({ apiKey: 'contract-key' }));

const { TEST_QDRANT_URL: url, TEST_QDRANT_API_KEY: apiKey } = process.env;
if (url !== undefined && url !== '') {
  describeQdrant('the Qdrant at TEST_QDRANT_URL', () =>
    Promise.resolve({ url, apiKey, close: () => Promise.resolve() }),
  );
}
