//! Native event listeners with superlance's options and wording.
