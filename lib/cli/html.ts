// Pages that need nothing beside themselves.

/** `style`: CSS beyond the common one; `body`: HTML. */
export function page(title: string, style: string, body: string): string {
  return `<!doctype html>
<meta charset="utf-8">
<title>${escapeHtml(title)}</title>
<style>
body { font: 15px system-ui, sans-serif; margin: 2em }
${style}
</style>
<h1>${escapeHtml(title)}</h1>
${body}
`;
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
