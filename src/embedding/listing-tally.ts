/** How many unknown ids a warning names. */
const NAMED_IDS = 20;

/** What a listing met besides the images that it gave; complete once the listing has ended. */
export interface ListingTally {
  /** Images given. */
  listed: number;
  /** Products read from the database. */
  products: number;
  /** Products that were left out because they have none of the images that the job asks for. */
  skippedProducts: number;
  /** Ids of `selected` or of the dataset that are no products: how many, and the first twenty of them. */
  unknownProducts: number;
  unknownProductIds: string[];
  /** Legacy images left out because the same id with the same url was there already. */
  repeatedImages: number;
  /** Legacy images kept although their id occurs with other urls too: their points come from id and url. */
  sharedIdImages: number;
  /** Images left out by `append_only_new`. */
  alreadyStored: number;
}

export function createListingTally(): ListingTally {
  return {
    listed: 0,
    products: 0,
    skippedProducts: 0,
    unknownProducts: 0,
    unknownProductIds: [],
    repeatedImages: 0,
    sharedIdImages: 0,
    alreadyStored: 0,
  };
}

/** Counts ids that are no products, and keeps the first of them. */
export function addUnknown(tally: ListingTally, ids: Iterable<string>): void {
  for (const id of ids) {
    tally.unknownProducts += 1;
    if (tally.unknownProductIds.length < NAMED_IDS) tally.unknownProductIds.push(id);
  }
}
