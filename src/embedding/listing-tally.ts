/** How many unknown ids are named. */
const NAMED_IDS = 20;

/** What a listing left out, and why; complete once the listing has ended. Part of the output as it stands. */
export interface ListingTally {
  /** Products that have none of the images that the job asks for. */
  products_without_images: number;
  /** Ids of `selected` or of the dataset that are no products: how many, and the first twenty of them. */
  unknown_products: number;
  unknown_product_ids: string[];
  /** Images that the job carries more than once, with the same id and url. */
  repeated_images: number;
  /** Not left out: images whose id comes with other urls too, so that their points come from id and url. */
  images_sharing_an_id: number;
  /** Images that `append_only_new` found in their collection; those that it fetched to be sure are in the job's total. */
  already_in_collection: number;
}

export function createListingTally(): ListingTally {
  return {
    products_without_images: 0,
    unknown_products: 0,
    unknown_product_ids: [],
    repeated_images: 0,
    images_sharing_an_id: 0,
    already_in_collection: 0,
  };
}

/** Counts ids that are no products, and keeps the first of them. */
export function addUnknown(tally: ListingTally, ids: Iterable<string>): void {
  for (const id of ids) {
    tally.unknown_products += 1;
    if (tally.unknown_product_ids.length < NAMED_IDS) tally.unknown_product_ids.push(id);
  }
}
