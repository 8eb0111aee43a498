/** The first page of a reader, which is left after it; an empty one where there is none. */
export async function firstPage<T>(pages: AsyncGenerator<T[]>): Promise<T[]> {
  for await (const page of pages) return page;
  return [];
}
