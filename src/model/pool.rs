//! An event listener pool: its queue, its listeners' protocol states, dispatch (E-40 to E-69).
